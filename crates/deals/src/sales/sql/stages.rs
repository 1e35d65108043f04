//! Stages of pipelines.

pub(crate) mod lookup;

mod empty;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, db, text};
use sea_orm::{ActiveModelTrait, EntityTrait};

use self::lookup::find_stage;
use super::{
    pipelines::{NAME_TAKEN, check_stage_kinds, find, new_stage, show, show_stage, stages_of},
    stage_requirements::check_requirable,
};
use crate::{
    DealStatus, Error, MemberBlocker, NewStage, OrganizationId, Pipeline, PipelineId, Result, SqlPipelines, Stage,
    StageId, StageOrder, StagePatch, Stages,
    core::to_u64,
    entity::{pipeline, stage},
    event::PipelineChanged,
    permission::Permission,
};

/// The number of deals in a stage.
const DEALS: &str = "SELECT COUNT(*) FROM deals_deal WHERE org_id = $1 AND pipeline_id = $2 AND stage_id = $3";
const SET_POSITION: &str = "UPDATE deals_stage SET position = $1, updated_at = $4 WHERE org_id = $2 AND id = $3";
const TOUCH_PIPELINE: &str = "UPDATE deals_pipeline SET updated_at = $1 WHERE org_id = $2 AND id = $3";

#[async_trait]
impl Stages for SqlPipelines {
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
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<pipeline::Entity>(conn, pipeline).await?;
                let access = self.core.authorize(conn, caller, org, Permission::PipelineManage).await?;
                find(conn, org, pipeline).await?;
                let stages = stages_of(conn, pipeline).await?;
                let kinds = stages.iter().map(|stage| stage.kind).chain([new.kind.unwrap_or(DealStatus::Open)]);
                check_stage_kinds(kinds)?;
                let position = stages.last().map_or(0, |last| last.position + 1);
                let row = new_stage(org, pipeline, new, position, self.core.now()).insert(conn).await?;
                self.core.record_created(conn, (caller, &access), "deals.create_stage", &row).await?;
                tx.emit(&PipelineChanged { organization_id: org, pipeline }).await?;
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
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<pipeline::Entity>(conn, pipeline).await?;
                let access = self.core.authorize(conn, caller, org, Permission::PipelineManage).await?;
                let before = find_stage(conn, &access, pipeline, id).await?;
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
                db::store_changes(conn, &before, &after).await?;
                self.core.record_changed(conn, (caller, &access), "deals.change_stage", &before, &after).await?;
                tx.emit(&PipelineChanged { organization_id: org, pipeline }).await?;
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
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<pipeline::Entity>(conn, pipeline).await?;
                let access = self.core.authorize(conn, caller, org, Permission::PipelineManage).await?;
                // Waits for deals that are being moved into the stage, so that they are counted.
                db::lock_to_remove::<stage::Entity>(conn, id).await?;
                let row = find_stage(conn, &access, pipeline, id).await?;
                access.check(known, row.updated_at)?;
                let stages = stages_of(conn, pipeline).await?;
                check_stage_kinds(stages.iter().filter(|stage| stage.id != id).map(|stage| stage.kind))?;
                let deals: Option<i64> = db::scalar(conn, DEALS, [org.into(), pipeline.into(), id.into()]).await?;
                let deals = to_u64(deals.unwrap_or_default());
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
                self.core.record(conn, (caller, &access), "deals.delete_stage", ("stage", id.0), detail).await?;
                tx.emit(&PipelineChanged { organization_id: org, pipeline }).await?;
                Ok(())
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
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<pipeline::Entity>(conn, pipeline).await?;
                let access = self.core.authorize(conn, caller, org, Permission::PipelineManage).await?;
                let row = find(conn, org, pipeline).await?;
                let stages = stages_of(conn, pipeline).await?;
                let mut known: Vec<StageId> = stages.iter().map(|stage| stage.id).collect();
                let mut ordered = order.clone();
                known.sort_unstable();
                ordered.sort_unstable();
                if known != ordered {
                    return Err(Error::field("stages", "Must contain each stage of the pipeline exactly once."));
                }
                for (position, id) in (0_i64..).zip(order) {
                    db::execute(
                        conn,
                        SET_POSITION,
                        [position.into(), org.into(), (*id).into(), self.core.now().into()],
                    )
                    .await?;
                }
                db::execute(conn, TOUCH_PIPELINE, [self.core.now().into(), org.into(), pipeline.into()]).await?;
                let row = find(conn, org, row.id).await?;
                let detail = vec![("stages", order.iter().map(|id| id.0).collect::<Vec<_>>().into())];
                let actor = (caller, &access);
                self.core.record(conn, actor, "deals.order_stages", ("pipeline", pipeline.0), detail).await?;
                tx.emit(&PipelineChanged { organization_id: org, pipeline }).await?;
                let stages = stages_of(conn, pipeline).await?;
                Ok(show(row, stages))
            })
            .await
    }
}
