//! Pipelines and their stages.

use std::collections::HashMap;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, Timestamp, db, text};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Select,
    Set,
};

use super::stage_requirements::{check_requirable, required_fields};
use crate::{
    DealStatus, Error, MemberBlocker, NewPipeline, NewStage, OrganizationId, Pipeline, PipelineId, PipelinePatch,
    Pipelines, Result, SqlPipelines, Stage,
    core::to_u64,
    entity::{organization, pipeline, stage},
    event::PipelineChanged,
    permission::Permission,
};

pub(super) const NAME_TAKEN: &str = "This name is already in use.";
const MAX_STAGES: usize = 50;

const CLEAR_DEFAULT: &str =
    "UPDATE deals_pipeline SET is_default = false, updated_at = $2 WHERE org_id = $1 AND is_default";
const NEXT_POSITION: &str = "SELECT COALESCE(MAX(position), -1) + 1 FROM deals_pipeline WHERE org_id = $1";
/// The number of deals in a pipeline.
const DEALS: &str = "SELECT COUNT(*) FROM deals_deal WHERE org_id = $1 AND pipeline_id = $2";

/// The stages of a pipeline that is created without any: name, kind and probability.
const DEFAULT_STAGES: [(&str, DealStatus, i64); 6] = [
    ("lead", DealStatus::Open, 10),
    ("qualified", DealStatus::Open, 25),
    ("proposal", DealStatus::Open, 50),
    ("negotiation", DealStatus::Open, 75),
    ("won", DealStatus::Won, 100),
    ("lost", DealStatus::Lost, 0),
];

/// The default stages as rows of a pipeline.
pub(crate) fn default_stages(
    org: OrganizationId,
    pipeline: PipelineId,
    now: Timestamp,
) -> impl Iterator<Item = stage::ActiveModel> {
    DEFAULT_STAGES.iter().enumerate().map(move |(position, (name, kind, probability))| {
        let new = NewStage {
            name: (*name).to_owned(),
            kind: Some(*kind),
            probability: Some(*probability),
            ..NewStage::default()
        };
        new_stage(org, pipeline, &new, i64::try_from(position).unwrap_or_default(), now)
    })
}

pub(super) fn new_stage(
    org: OrganizationId,
    pipeline: PipelineId,
    new: &NewStage,
    position: i64,
    now: Timestamp,
) -> stage::ActiveModel {
    let kind = new.kind.unwrap_or(DealStatus::Open);
    let default_probability = match kind {
        DealStatus::Open => 50,
        DealStatus::Won => 100,
        DealStatus::Lost => 0,
    };
    let name = new.name.trim();
    stage::ActiveModel {
        id: NotSet,
        org_id: Set(org),
        pipeline_id: Set(pipeline),
        name: Set(name.to_owned()),
        name_key: Set(text::fold(name)),
        position: Set(position),
        kind: Set(kind),
        probability: Set(new.probability.unwrap_or(default_probability)),
        rot_days: Set(new.rot_days),
        required_fields: Set(serde_json::Value::from(new.required_fields.clone()).to_string()),
        created_at: Set(now),
        updated_at: Set(now),
    }
}

pub(crate) fn show_stage(row: stage::Model) -> Stage {
    Stage {
        id: row.id,
        required_fields: required_fields(&row),
        name: row.name,
        position: row.position,
        kind: row.kind,
        probability: row.probability,
        rot_days: row.rot_days,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// Checks that a pipeline has a stage of each kind, and not too many stages.
pub(super) fn check_stage_kinds(kinds: impl IntoIterator<Item = DealStatus>) -> Result<()> {
    let kinds: Vec<DealStatus> = kinds.into_iter().collect();
    let is_incomplete = [DealStatus::Open, DealStatus::Won, DealStatus::Lost].iter().any(|kind| !kinds.contains(kind));
    if is_incomplete {
        return Err(Error::field("stages", "A pipeline needs at least one stage of each kind: open, won, lost."));
    }
    if kinds.len() > MAX_STAGES {
        return Err(Error::field("stages", format!("A pipeline can have at most {MAX_STAGES} stages.")));
    }
    Ok(())
}

/// A pipeline of the organization.
pub(crate) async fn find(conn: &impl ConnectionTrait, org: OrganizationId, id: PipelineId) -> Result<pipeline::Model> {
    let found = pipeline::Entity::find_by_id(id).filter(pipeline::COLUMN.org_id.eq(org)).one(conn).await?;
    found.ok_or(Error::NotFound("pipeline"))
}

/// The stages of a pipeline, in order.
pub(crate) async fn stages_of(conn: &impl ConnectionTrait, id: PipelineId) -> Result<Vec<stage::Model>> {
    Ok(in_order(stage::Entity::find().filter(stage::COLUMN.pipeline_id.eq(id))).all(conn).await?)
}

/// Stages in their order.
pub(crate) fn in_order(stages: Select<stage::Entity>) -> Select<stage::Entity> {
    stages.order_by_asc(stage::Column::Position).order_by_asc(stage::Column::Id)
}

pub(super) fn show(row: pipeline::Model, stages: Vec<stage::Model>) -> Pipeline {
    Pipeline {
        id: row.id,
        name: row.name,
        position: row.position,
        is_default: row.is_default,
        stages: stages.into_iter().map(show_stage).collect(),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// Removes the mark from the default pipeline, so that another one can become the default.
async fn clear_default(conn: &impl ConnectionTrait, org: OrganizationId, now: Timestamp) -> Result<()> {
    db::lock::<organization::Entity>(conn, org).await?;
    db::execute(conn, CLEAR_DEFAULT, [org.into(), now.into()]).await?;
    Ok(())
}

#[async_trait]
impl Pipelines for SqlPipelines {
    async fn pipelines(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Pipeline>> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        let select = pipeline::Entity::find().filter(pipeline::COLUMN.org_id.eq(access.org.id));
        let ordering = Ordering {
            fields: &[("id", pipeline::Column::Id), ("position", pipeline::Column::Position)],
            default: "position",
            id: pipeline::Column::Id,
        };
        let page = Page::<pipeline::Model>::fetch(select, &ordering, &page, conn).await?;
        let ids: Vec<PipelineId> = page.results.iter().map(|row| row.id).collect();
        let stages = stage::Entity::find().filter(stage::COLUMN.pipeline_id.is_in(ids));
        let mut by_pipeline: HashMap<PipelineId, Vec<stage::Model>> = HashMap::new();
        for stage in stages.order_by_asc(stage::Column::Position).all(conn).await? {
            by_pipeline.entry(stage.pipeline_id).or_default().push(stage);
        }
        Ok(page.with_results(|rows| {
            let mut show = |row: pipeline::Model| {
                let stages = by_pipeline.remove(&row.id).unwrap_or_default();
                show(row, stages)
            };
            rows.into_iter().map(&mut show).collect()
        }))
    }

    async fn create_pipeline(&self, caller: &Caller, org: OrganizationId, new: NewPipeline) -> Result<Pipeline> {
        new.validate()?;
        for stage in &new.stages {
            check_requirable(&stage.required_fields)?;
        }
        if !new.stages.is_empty() {
            check_stage_kinds(new.stages.iter().map(|stage| stage.kind.unwrap_or(DealStatus::Open)))?;
        }
        let new = &new;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                let access = self.core.authorize(conn, caller, org, Permission::PipelineManage).await?;
                if new.is_default {
                    clear_default(conn, org, self.core.now()).await?;
                }
                let now = self.core.now();
                let name = new.name.trim();
                let position: Option<i64> = db::scalar(conn, NEXT_POSITION, [org.into()]).await?;
                let row = pipeline::ActiveModel {
                    id: NotSet,
                    org_id: Set(org),
                    name: Set(name.to_owned()),
                    name_key: Set(text::fold(name)),
                    position: Set(position.unwrap_or_default()),
                    is_default: Set(new.is_default),
                    created_at: Set(now),
                    updated_at: Set(now),
                };
                let row = row.insert(conn).await?;
                if new.stages.is_empty() {
                    for stage in default_stages(org, row.id, now) {
                        stage.insert(conn).await?;
                    }
                }
                for (position, stage) in (0..).zip(&new.stages) {
                    new_stage(org, row.id, stage, position, now).insert(conn).await?;
                }
                self.core.record_created(conn, (caller, &access), "deals.create_pipeline", &row).await?;
                tx.emit(&PipelineChanged { organization_id: org, pipeline: row.id }).await?;
                let stages = stages_of(conn, row.id).await?;
                Ok(show(row, stages))
            })
            .await
            .map_err(|error: Error| error.or_duplicate(&["name_key"], NAME_TAKEN))
    }

    async fn pipeline(&self, caller: &Caller, org: OrganizationId, id: PipelineId) -> Result<Pipeline> {
        let conn = self.core.db.conn();
        let pipe = &conn.pipeline();
        let read = async { tokio::join!(find(pipe, org, id), stages_of(pipe, id)) };
        let (_, (row, stages)) = self.core.access_and((conn, pipe), caller, org, read).await?;
        Ok(show(row?, stages?))
    }

    async fn change_pipeline(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: PipelineId,
        patch: PipelinePatch,
        known: IfMatch,
    ) -> Result<Pipeline> {
        patch.validate()?;
        if patch.is_default == Some(false) {
            return Err(Error::field("is_default", "Make another pipeline the default instead."));
        }
        let (patch, known) = (&patch, &known);
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<pipeline::Entity>(conn, id).await?;
                let access = self.core.authorize(conn, caller, org, Permission::PipelineManage).await?;
                let before = find(conn, org, id).await?;
                access.check(known, before.updated_at)?;
                let mut after = before.clone();
                if let Some(name) = &patch.name {
                    name.trim().clone_into(&mut after.name);
                    after.name_key = text::fold(&after.name);
                }
                after.position = patch.position.unwrap_or(after.position);
                if patch.is_default == Some(true) && !before.is_default {
                    clear_default(conn, org, self.core.now()).await?;
                    after.is_default = true;
                }
                after.updated_at = self.core.now();
                db::store_changes(conn, &before, &after).await?;
                self.core.record_changed(conn, (caller, &access), "deals.change_pipeline", &before, &after).await?;
                tx.emit(&PipelineChanged { organization_id: org, pipeline: id }).await?;
                let stages = stages_of(conn, id).await?;
                Ok(show(after, stages))
            })
            .await
            .map_err(|error: Error| error.or_duplicate(&["name_key"], NAME_TAKEN))
    }

    async fn delete_pipeline(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: PipelineId,
        known: IfMatch,
    ) -> Result<()> {
        let known = &known;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock_to_remove::<pipeline::Entity>(conn, id).await?;
                let access = self.core.authorize(conn, caller, org, Permission::PipelineManage).await?;
                let row = find(conn, org, id).await?;
                access.check(known, row.updated_at)?;
                if row.is_default {
                    let detail = "This is the default pipeline. Make another one the default first.";
                    return Err(Error::Protected(detail, Vec::new(), &["change_pipeline"]));
                }
                let deals: i64 = db::scalar(conn, DEALS, [org.into(), id.into()]).await?.unwrap_or_default();
                if deals > 0 {
                    let count = to_u64(deals);
                    let blocker = MemberBlocker { model: "deal", relation: "pipeline", count, examples: Vec::new() };
                    return Err(Error::Protected("This pipeline has deals.", vec![blocker], &["move_deal"]));
                }
                pipeline::Entity::delete_by_id(id).exec(conn).await?;
                let detail = vec![("name", row.name.into())];
                self.core.record(conn, (caller, &access), "deals.delete_pipeline", ("pipeline", id.0), detail).await?;
                tx.emit(&PipelineChanged { organization_id: org, pipeline: id }).await?;
                Ok(())
            })
            .await
    }
}
