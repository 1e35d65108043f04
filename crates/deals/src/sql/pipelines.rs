//! Pipelines and their stages.

use std::collections::HashMap;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, Timestamp, text};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Set,
};

use super::{SqlDeals, access::Access, lock, lock_to_remove, many, number, run, store};
use crate::{
    Board, DealStatus, Error, Holding, Lane, NewPipeline, NewStage, OrganizationId, Pipeline, PipelineId,
    PipelinePatch, Pipelines, Result, Stage, StageId, StageOrder, StagePatch,
    entity::{organization, pipeline, stage},
    permission::Permission,
};

const TAKEN: &str = "There is one of this name.";
/// What a stage can ask a deal for.
const FIELDS: [&str; 5] = ["value", "contact_id", "expected_close_date", "description", "source"];
const MOST_STAGES: usize = 50;

/// The stages that a pipeline begins with.
const USUAL: [(&str, DealStatus, i64); 6] = [
    ("lead", DealStatus::Open, 10),
    ("qualified", DealStatus::Open, 25),
    ("proposal", DealStatus::Open, 50),
    ("negotiation", DealStatus::Open, 75),
    ("won", DealStatus::Won, 100),
    ("lost", DealStatus::Lost, 0),
];

/// The stages that a pipeline begins with, to be stored.
pub(super) fn usual_stages(
    org: OrganizationId,
    pipeline: PipelineId,
    now: Timestamp,
) -> impl Iterator<Item = stage::ActiveModel> {
    USUAL.iter().enumerate().map(move |(position, (name, kind, probability))| {
        let new = NewStage {
            name: (*name).to_owned(),
            kind: Some(*kind),
            probability: Some(*probability),
            ..NewStage::default()
        };
        new_stage(org, pipeline, &new, i64::try_from(position).unwrap_or_default(), now)
    })
}

fn new_stage(
    org: OrganizationId,
    pipeline: PipelineId,
    new: &NewStage,
    position: i64,
    now: Timestamp,
) -> stage::ActiveModel {
    let kind = new.kind.unwrap_or(DealStatus::Open);
    let usual = match kind {
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
        probability: Set(new.probability.unwrap_or(usual)),
        rot_days: Set(new.rot_days),
        required_fields: Set(serde_json::Value::from(new.required_fields.clone()).to_string()),
        created_at: Set(now),
        updated_at: Set(now),
    }
}

/// What a deal needs to get into a stage.
pub(super) fn required_fields(row: &stage::Model) -> Vec<String> {
    serde_json::from_str(&row.required_fields).unwrap_or_default()
}

pub(super) fn show_stage(row: stage::Model) -> Stage {
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

fn known_fields(fields: &[String]) -> Result<()> {
    match fields.iter().find(|field| !FIELDS.contains(&field.as_str())) {
        Some(_) => Err(Error::field("required_fields", format!("Choose from: {}.", FIELDS.join(", ")))),
        None => Ok(()),
    }
}

/// A pipeline has somewhere to begin and somewhere to end.
fn whole(kinds: impl IntoIterator<Item = DealStatus>) -> Result<()> {
    let kinds: Vec<DealStatus> = kinds.into_iter().collect();
    let missing = [DealStatus::Open, DealStatus::Won, DealStatus::Lost].iter().any(|kind| !kinds.contains(kind));
    if missing {
        return Err(Error::field("stages", "A pipeline needs a stage for each of: open, won, lost."));
    }
    if kinds.len() > MOST_STAGES {
        return Err(Error::field("stages", format!("A pipeline has at most {MOST_STAGES} stages.")));
    }
    Ok(())
}

/// A pipeline of the organization.
pub(super) async fn find(conn: &impl ConnectionTrait, access: &Access, id: PipelineId) -> Result<pipeline::Model> {
    let found = pipeline::Entity::find_by_id(id).filter(pipeline::COLUMN.org_id.eq(access.org.id)).one(conn).await?;
    found.ok_or(Error::NotFound("pipeline"))
}

/// The stages of a pipeline, in their order.
pub(super) async fn stages_of(conn: &impl ConnectionTrait, id: PipelineId) -> Result<Vec<stage::Model>> {
    let stages = stage::Entity::find().filter(stage::COLUMN.pipeline_id.eq(id));
    Ok(stages.order_by_asc(stage::Column::Position).order_by_asc(stage::Column::Id).all(conn).await?)
}

fn show(row: pipeline::Model, stages: Vec<stage::Model>) -> Pipeline {
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

/// No other pipeline is where new deals begin.
async fn step_down(conn: &impl ConnectionTrait, org: OrganizationId, now: Timestamp) -> Result<()> {
    lock::<organization::Entity>(conn, org).await?;
    let sql = "UPDATE deals_pipeline SET is_default = false, updated_at = $2 WHERE org_id = $1 AND is_default";
    run(conn, sql, [org.into(), now.into()]).await?;
    Ok(())
}

#[async_trait]
impl Pipelines for SqlDeals {
    async fn pipelines(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Pipeline>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        let select = pipeline::Entity::find().filter(pipeline::COLUMN.org_id.eq(access.org.id));
        let ordering = Ordering {
            fields: &[("id", pipeline::Column::Id), ("position", pipeline::Column::Position)],
            usual: "position",
            id: pipeline::Column::Id,
        };
        let page = Page::<pipeline::Model>::fetch(select, &ordering, &page, conn).await?;
        let ids: Vec<PipelineId> = page.results.iter().map(|row| row.id).collect();
        let stages = stage::Entity::find().filter(stage::COLUMN.pipeline_id.is_in(ids));
        let mut by_pipeline: HashMap<PipelineId, Vec<stage::Model>> = HashMap::new();
        for stage in stages.order_by_asc(stage::Column::Position).all(conn).await? {
            by_pipeline.entry(stage.pipeline_id).or_default().push(stage);
        }
        Ok(page.with(|rows| {
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
            known_fields(&stage.required_fields)?;
        }
        if !new.stages.is_empty() {
            whole(new.stages.iter().map(|stage| stage.kind.unwrap_or(DealStatus::Open)))?;
        }
        let new = &new;
        self.act(|tx| async move {
            let conn = tx.conn();
            let access = self.enter_to(conn, caller, org, Permission::PipelineManage).await?;
            if new.is_default {
                step_down(conn, org, self.now()).await?;
            }
            let now = self.now();
            let name = new.name.trim();
            let next = "SELECT COALESCE(MAX(position), -1) + 1 FROM deals_pipeline WHERE org_id = $1";
            let row = pipeline::ActiveModel {
                id: NotSet,
                org_id: Set(org),
                name: Set(name.to_owned()),
                name_key: Set(text::fold(name)),
                position: Set(number(conn, next, [org.into()]).await?),
                is_default: Set(new.is_default),
                created_at: Set(now),
                updated_at: Set(now),
            };
            let row = row.insert(conn).await?;
            if new.stages.is_empty() {
                for stage in usual_stages(org, row.id, now) {
                    stage.insert(conn).await?;
                }
            }
            for (position, stage) in (0..).zip(&new.stages) {
                new_stage(org, row.id, stage, position, now).insert(conn).await?;
            }
            self.made(conn, (caller, &access), "deals.create_pipeline", &row).await?;
            let stages = stages_of(conn, row.id).await?;
            Ok(show(row, stages))
        })
        .await
        .map_err(|error: Error| error.or_duplicate(&["name_key"], TAKEN))
    }

    async fn pipeline(&self, caller: &Caller, org: OrganizationId, id: PipelineId) -> Result<Pipeline> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        let row = find(conn, &access, id).await?;
        Ok(show(row, stages_of(conn, id).await?))
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
            return Err(Error::field("is_default", "Make another one the usual one instead."));
        }
        let (patch, known) = (&patch, &known);
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<pipeline::Entity>(conn, id).await?;
            let access = self.enter_to(conn, caller, org, Permission::PipelineManage).await?;
            let before = find(conn, &access, id).await?;
            access.check(known, before.updated_at)?;
            let mut after = before.clone();
            if let Some(name) = &patch.name {
                name.trim().clone_into(&mut after.name);
                after.name_key = text::fold(&after.name);
            }
            after.position = patch.position.unwrap_or(after.position);
            if patch.is_default == Some(true) && !before.is_default {
                step_down(conn, org, self.now()).await?;
                after.is_default = true;
            }
            after.updated_at = self.now();
            store(conn, &before, &after).await?;
            self.changed(conn, (caller, &access), "deals.change_pipeline", &before, &after).await?;
            let stages = stages_of(conn, id).await?;
            Ok(show(after, stages))
        })
        .await
        .map_err(|error: Error| error.or_duplicate(&["name_key"], TAKEN))
    }

    async fn delete_pipeline(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: PipelineId,
        known: IfMatch,
    ) -> Result<()> {
        let known = &known;
        self.act(|tx| async move {
            let conn = tx.conn();
            lock_to_remove::<pipeline::Entity>(conn, id).await?;
            let access = self.enter_to(conn, caller, org, Permission::PipelineManage).await?;
            let row = find(conn, &access, id).await?;
            access.check(known, row.updated_at)?;
            if row.is_default {
                let detail = "New deals begin here: make another pipeline the usual one first.";
                return Err(Error::Protected(detail, Vec::new(), &["change_pipeline"]));
            }
            let sql = "SELECT COUNT(*) FROM deals_deal WHERE org_id = $1 AND pipeline_id = $2";
            let deals = many(number(conn, sql, [org.into(), id.into()]).await?);
            if deals > 0 {
                let held = Holding { model: "deal", relation: "pipeline", count: deals, examples: Vec::new() };
                return Err(Error::Protected("Deals go through this pipeline.", vec![held], &["move_deal"]));
            }
            pipeline::Entity::delete_by_id(id).exec(conn).await?;
            let detail = vec![("name", row.name.into())];
            self.noted(conn, (caller, &access), "deals.delete_pipeline", ("pipeline", id.0), detail).await
        })
        .await
    }

    async fn create_stage(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        new: NewStage,
    ) -> Result<Stage> {
        new.validate()?;
        known_fields(&new.required_fields)?;
        let new = &new;
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<pipeline::Entity>(conn, pipeline).await?;
            let access = self.enter_to(conn, caller, org, Permission::PipelineManage).await?;
            find(conn, &access, pipeline).await?;
            let stages = stages_of(conn, pipeline).await?;
            let kinds = stages.iter().map(|stage| stage.kind).chain([new.kind.unwrap_or(DealStatus::Open)]);
            whole(kinds)?;
            let position = stages.last().map_or(0, |last| last.position + 1);
            let row = new_stage(org, pipeline, new, position, self.now()).insert(conn).await?;
            self.made(conn, (caller, &access), "deals.create_stage", &row).await?;
            Ok(show_stage(row))
        })
        .await
        .map_err(|error: Error| error.or_duplicate(&["name_key"], TAKEN))
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
        known_fields(patch.required_fields.as_deref().unwrap_or_default())?;
        let (patch, known) = (&patch, &known);
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<pipeline::Entity>(conn, pipeline).await?;
            let access = self.enter_to(conn, caller, org, Permission::PipelineManage).await?;
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
            after.updated_at = self.now();
            store(conn, &before, &after).await?;
            self.changed(conn, (caller, &access), "deals.change_stage", &before, &after).await?;
            Ok(show_stage(after))
        })
        .await
        .map_err(|error: Error| error.or_duplicate(&["name_key"], TAKEN))
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
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<pipeline::Entity>(conn, pipeline).await?;
            let access = self.enter_to(conn, caller, org, Permission::PipelineManage).await?;
            // Deals that are on their way into it are waited for, and then counted.
            lock_to_remove::<stage::Entity>(conn, id).await?;
            let row = self.find_stage(conn, &access, pipeline, id).await?;
            access.check(known, row.updated_at)?;
            let rest = stages_of(conn, pipeline).await?;
            whole(rest.iter().filter(|stage| stage.id != id).map(|stage| stage.kind))?;
            let sql = "SELECT COUNT(*) FROM deals_deal WHERE org_id = $1 AND pipeline_id = $2 AND stage_id = $3";
            let deals = many(number(conn, sql, [org.into(), pipeline.into(), id.into()]).await?);
            match move_to {
                Some(target) => {
                    let fits = |stage: &&stage::Model| stage.id == target && target != id && stage.kind == row.kind;
                    let target = rest.iter().find(fits).ok_or_else(|| {
                        Error::field("move_to", "Another stage of this pipeline and of the same kind is needed.")
                    })?;
                    self.empty_stage(conn, (caller, &access), &row, target).await?;
                }
                None if deals > 0 => {
                    let held = Holding { model: "deal", relation: "stage", count: deals, examples: Vec::new() };
                    return Err(Error::Protected("Deals are in this stage.", vec![held], &["move_to"]));
                }
                None => {}
            }
            stage::Entity::delete_by_id(id).exec(conn).await?;
            let detail = vec![("name", row.name.into()), ("deals", deals.into())];
            self.noted(conn, (caller, &access), "deals.delete_stage", ("stage", id.0), detail).await
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
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<pipeline::Entity>(conn, pipeline).await?;
            let access = self.enter_to(conn, caller, org, Permission::PipelineManage).await?;
            let row = find(conn, &access, pipeline).await?;
            let stages = stages_of(conn, pipeline).await?;
            let mut known: Vec<StageId> = stages.iter().map(|stage| stage.id).collect();
            let mut given = order.clone();
            known.sort_unstable();
            given.sort_unstable();
            if known != given {
                return Err(Error::field("stages", "All stages of the pipeline are needed, each once."));
            }
            for (position, id) in (0_i64..).zip(order) {
                let sql = "UPDATE deals_stage SET position = $1, updated_at = $4 WHERE org_id = $2 AND id = $3";
                run(conn, sql, [position.into(), org.into(), (*id).into(), self.now().into()]).await?;
            }
            let sql = "UPDATE deals_pipeline SET updated_at = $1 WHERE org_id = $2 AND id = $3";
            run(conn, sql, [self.now().into(), org.into(), pipeline.into()]).await?;
            let row = find(conn, &access, row.id).await?;
            let detail = vec![("stages", order.iter().map(|id| id.0).collect::<Vec<_>>().into())];
            let act = (caller, &access);
            self.noted(conn, act, "deals.order_stages", ("pipeline", pipeline.0), detail).await?;
            let stages = stages_of(conn, pipeline).await?;
            Ok(show(row, stages))
        })
        .await
    }

    async fn board(&self, caller: &Caller, org: OrganizationId, pipeline: PipelineId, lane: Lane) -> Result<Board> {
        self.read_board(caller, org, pipeline, lane).await
    }
}

impl SqlDeals {
    /// A stage of a pipeline.
    pub(super) async fn find_stage(
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
