//! Stages of pipelines.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, text};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::pipelines::{NAME_TAKEN, check_requirable, check_stage_kinds, find, new_stage, show, show_stage, stages_of};
use crate::{
    DealStatus, Error, MemberBlocker, NewStage, OrganizationId, Pipeline, PipelineId, Result, SqlSales, Stage, StageId,
    StageOrder, StagePatch, Stages,
    core::{access::Access, execute, lock, lock_to_remove, scalar_i64, store, to_u64},
    entity::{pipeline, stage},
    permission::Permission,
};

impl SqlSales {
    /// A stage of a pipeline.
    pub(crate) async fn find_stage(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        pipeline: PipelineId,
        id: StageId,
    ) -> Result<stage::Model> {
        let found = stage::Entity::find_by_id(id)
            .filter(stage::COLUMN.org_id.eq(access.org.id))
            .filter(stage::COLUMN.pipeline_id.eq(pipeline))
            .one(conn)
            .await?;
        found.ok_or(Error::NotFound("stage"))
    }
}

#[async_trait]
impl Stages for SqlSales {
    async fn create_stage(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        new: NewStage,
    ) -> Result<Stage> {
        new.validate()?;
        check_requirable(&new.required_fields)?;
        let new = &new;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                lock::<pipeline::Entity>(conn, pipeline).await?;
                let access = self.core.authorize(conn, caller, org, Permission::PipelineManage).await?;
                find(conn, &access, pipeline).await?;
                let stages = stages_of(conn, pipeline).await?;
                let kinds = stages.iter().map(|stage| stage.kind).chain([new.kind.unwrap_or(DealStatus::Open)]);
                check_stage_kinds(kinds)?;
                let position = stages.last().map_or(0, |last| last.position + 1);
                let row = new_stage(org, pipeline, new, position, self.core.now()).insert(conn).await?;
                self.core.record_created(conn, (caller, &access), "deals.create_stage", &row).await?;
                Ok(show_stage(row))
            })
            .await
            .map_err(|error: Error| error.or_duplicate(&["name_key"], NAME_TAKEN))
    }

    async fn change_stage(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        id: StageId,
        patch: StagePatch,
        known: IfMatch,
    ) -> Result<Stage> {
        patch.validate()?;
        check_requirable(patch.required_fields.as_deref().unwrap_or_default())?;
        let (patch, known) = (&patch, &known);
        self.core
            .write(|tx| async move {
                let conn = &tx;
                lock::<pipeline::Entity>(conn, pipeline).await?;
                let access = self.core.authorize(conn, caller, org, Permission::PipelineManage).await?;
                let before = self.find_stage(conn, &access, pipeline, id).await?;
                access.check(known, before.updated_at)?;
                let mut after = before.clone();
                if let Some(name) = &patch.name {
                    name.trim().clone_into(&mut after.name);
                    after.name_key = text::fold(&after.name);
                }
                after.probability = patch.probability.unwrap_or(after.probability);
                after.rot_days = patch.rot_days.unwrap_or(after.rot_days);
                if let Some(fields) = &patch.required_fields {
                    after.required_fields = serde_json::Value::from(fields.clone()).to_string();
                }
                after.updated_at = self.core.now();
                store(conn, &before, &after).await?;
                self.core.record_changed(conn, (caller, &access), "deals.change_stage", &before, &after).await?;
                Ok(show_stage(after))
            })
            .await
            .map_err(|error: Error| error.or_duplicate(&["name_key"], NAME_TAKEN))
    }

    async fn delete_stage(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        id: StageId,
        move_to: Option<StageId>,
        known: IfMatch,
    ) -> Result<()> {
        let known = &known;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                lock::<pipeline::Entity>(conn, pipeline).await?;
                let access = self.core.authorize(conn, caller, org, Permission::PipelineManage).await?;
                // Waits for deals that are being moved into the stage, so that they are counted.
                lock_to_remove::<stage::Entity>(conn, id).await?;
                let row = self.find_stage(conn, &access, pipeline, id).await?;
                access.check(known, row.updated_at)?;
                let stages = stages_of(conn, pipeline).await?;
                check_stage_kinds(stages.iter().filter(|stage| stage.id != id).map(|stage| stage.kind))?;
                let sql = "SELECT COUNT(*) FROM deals_deal WHERE org_id = $1 AND pipeline_id = $2 AND stage_id = $3";
                let deals = to_u64(scalar_i64(conn, sql, [org.into(), pipeline.into(), id.into()]).await?);
                match move_to {
                    Some(target) => {
                        let is_target =
                            |stage: &&stage::Model| stage.id == target && target != id && stage.kind == row.kind;
                        let target = stages.iter().find(is_target).ok_or_else(|| {
                            Error::field("move_to", "Must be another stage of the same pipeline and kind.")
                        })?;
                        self.empty_stage(conn, (caller, &access), &row, target).await?;
                    }
                    None if deals > 0 => {
                        let blocker =
                            MemberBlocker { model: "deal", relation: "stage", count: deals, examples: Vec::new() };
                        return Err(Error::Protected("This stage has deals.", vec![blocker], &["move_to"]));
                    }
                    None => {}
                }
                stage::Entity::delete_by_id(id).exec(conn).await?;
                let detail = vec![("name", row.name.into()), ("deals", deals.into())];
                self.core.record(conn, (caller, &access), "deals.delete_stage", ("stage", id.0), detail).await
            })
            .await
    }

    async fn order_stages(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        order: StageOrder,
    ) -> Result<Pipeline> {
        order.validate()?;
        let order = &order.stages;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                lock::<pipeline::Entity>(conn, pipeline).await?;
                let access = self.core.authorize(conn, caller, org, Permission::PipelineManage).await?;
                let row = find(conn, &access, pipeline).await?;
                let stages = stages_of(conn, pipeline).await?;
                let mut known: Vec<StageId> = stages.iter().map(|stage| stage.id).collect();
                let mut ordered = order.clone();
                known.sort_unstable();
                ordered.sort_unstable();
                if known != ordered {
                    return Err(Error::field("stages", "Must contain each stage of the pipeline exactly once."));
                }
                for (position, id) in (0_i64..).zip(order) {
                    let sql = "UPDATE deals_stage SET position = $1, updated_at = $4 WHERE org_id = $2 AND id = $3";
                    execute(conn, sql, [position.into(), org.into(), (*id).into(), self.core.now().into()]).await?;
                }
                let sql = "UPDATE deals_pipeline SET updated_at = $1 WHERE org_id = $2 AND id = $3";
                execute(conn, sql, [self.core.now().into(), org.into(), pipeline.into()]).await?;
                let row = find(conn, &access, row.id).await?;
                let detail = vec![("stages", order.iter().map(|id| id.0).collect::<Vec<_>>().into())];
                let actor = (caller, &access);
                self.core.record(conn, actor, "deals.order_stages", ("pipeline", pipeline.0), detail).await?;
                let stages = stages_of(conn, pipeline).await?;
                Ok(show(row, stages))
            })
            .await
    }
}
