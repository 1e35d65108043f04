//! Finding stages.

use std::collections::HashMap;

use guildhall_kernel::{db::QueryTemplate, text};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, SelectStatement},
};

use crate::{
    Error, OrganizationId, PipelineId, Result, StageId, StageRef,
    core::access::Access,
    entity::{pipeline, stage},
};

pub(crate) const NO_SUCH_STAGE: &str = "There is no such stage.";

static STAGE: QueryTemplate<()> = QueryTemplate::new(|(), ids| {
    let [org, id] = *ids else { return SelectStatement::new() };
    stage::Entity::find_by_id(StageId(id)).filter(stage::COLUMN.org_id.eq(OrganizationId(org))).into_query()
});

/// The first stage of a pipeline, or of the default one if its id is not given.
static FIRST_STAGE: QueryTemplate<()> = QueryTemplate::new(|(), ids| {
    let [org, pipeline @ ..] = ids else { return SelectStatement::new() };
    stages_in_pipeline(OrganizationId(*org), pipeline.first().copied().map(PipelineId)).limit(1).into_query()
});

/// A stage of an organization.
pub(crate) async fn stored_stage(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    id: StageId,
) -> Result<Option<stage::Model>> {
    Ok(STAGE.row(conn, &(), &[org.0, id.0]).await?)
}

/// A stage of a pipeline.
pub(super) async fn find_stage(
    conn: &impl ConnectionTrait,
    access: &Access,
    pipeline: PipelineId,
    id: StageId,
) -> Result<stage::Model> {
    let found = stored_stage(conn, access.org.id, id).await?.filter(|stage| stage.pipeline_id == pipeline);
    found.ok_or(Error::NotFound("stage"))
}

/// The stages that a filter refers to: by comma-separated ids, or by a name, which may occur in several pipelines.
pub(crate) async fn find_stages(
    conn: &impl ConnectionTrait,
    access: &Access,
    ids_or_name: &str,
) -> Result<Vec<StageId>> {
    let ids: std::result::Result<Vec<i64>, _> = ids_or_name.split(',').map(|id| id.trim().parse()).collect();
    let select = stage::Entity::find()
        .select_only()
        .column(stage::Column::Id)
        .filter(stage::COLUMN.org_id.eq(access.org.id))
        .order_by_asc(stage::Column::Id);
    let select = match ids {
        Ok(ids) if ids.len() <= 100 => select.filter(stage::COLUMN.id.is_in(ids.into_iter().map(StageId))),
        _ => select.filter(stage::COLUMN.name_key.eq(text::fold(ids_or_name))),
    };
    let stages: Vec<StageId> = select.into_tuple().all(conn).await?;
    if stages.is_empty() { Err(Error::field("stage", NO_SUCH_STAGE)) } else { Ok(stages) }
}

/// The stages of organizations, in the order of their pipelines.
fn stages_in_order(org: OrganizationId) -> Select<stage::Entity> {
    stage::Entity::find()
        .filter(stage::COLUMN.org_id.eq(org))
        .order_by_asc(stage::Column::Position)
        .order_by_asc(stage::Column::Id)
}

/// The stages of a pipeline, or else of the default one, in order.
fn stages_in_pipeline(org: OrganizationId, pipeline: Option<PipelineId>) -> Select<stage::Entity> {
    let stages = stages_in_order(org);
    if let Some(id) = pipeline {
        return stages.filter(stage::COLUMN.pipeline_id.eq(id));
    }
    let default = pipeline::Entity::find()
        .select_only()
        .column(pipeline::Column::Id)
        .filter(pipeline::COLUMN.org_id.eq(org))
        .filter(Expr::cust("deals_pipeline.is_default"));
    stages.filter(stage::Column::PipelineId.in_subquery(default.into_query()))
}

/// A stage by its name (case-insensitive).
pub(crate) fn stage_named<'a>(stages: &'a [stage::Model], name: &str) -> Option<&'a stage::Model> {
    let key = text::fold(name);
    stages.iter().find(|stage| stage.name_key == key)
}

/// The pipelines of an organization with their stages, to find the stages of many new deals.
pub(crate) struct PipelineStages {
    /// The stages of each pipeline in order, by its name.
    by_name: HashMap<String, Vec<stage::Model>>,
    /// The name of the default pipeline.
    default: String,
}

impl PipelineStages {
    pub(crate) async fn load(conn: &impl ConnectionTrait, org: OrganizationId) -> Result<Self> {
        let pipelines = pipeline::Entity::find().filter(pipeline::COLUMN.org_id.eq(org)).all(conn).await?;
        let mut by_pipeline: HashMap<PipelineId, Vec<stage::Model>> = HashMap::new();
        for stage in stages_in_order(org).all(conn).await? {
            by_pipeline.entry(stage.pipeline_id).or_default().push(stage);
        }
        let default = pipelines.iter().find(|pipeline| pipeline.is_default).map(|pipeline| pipeline.name_key.clone());
        let stages = |row: pipeline::Model| (row.name_key, by_pipeline.remove(&row.id).unwrap_or_default());
        Ok(Self { by_name: pipelines.into_iter().map(stages).collect(), default: default.unwrap_or_default() })
    }

    /// The stages of a pipeline by its name (case-insensitive).
    pub(crate) fn named(&self, name: &str) -> Option<&[stage::Model]> {
        self.by_name.get(&text::fold(name)).map(Vec::as_slice)
    }

    /// The stages of the default pipeline.
    pub(crate) fn default(&self) -> Option<&[stage::Model]> {
        self.by_name.get(&self.default).map(Vec::as_slice)
    }
}

/// Finds a stage by reference, in the given pipeline or else in the default one. Without a reference it is the
/// first stage.
pub(crate) async fn resolve_stage(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    pipeline: Option<PipelineId>,
    stage: Option<&StageRef>,
) -> Result<stage::Model> {
    let found = match stage {
        Some(StageRef::Id(id)) => {
            let found = stored_stage(conn, org, *id).await?;
            found.filter(|stage| pipeline.is_none_or(|pipeline| pipeline == stage.pipeline_id))
        }
        Some(StageRef::Name(name)) => stage_named(&stages_in_pipeline(org, pipeline).all(conn).await?, name).cloned(),
        None => {
            let ids: Vec<i64> = [org.0].into_iter().chain(pipeline.map(|id| id.0)).collect();
            FIRST_STAGE.row(conn, &(), &ids).await?
        }
    };
    found.ok_or_else(|| Error::field("stage", NO_SUCH_STAGE))
}
