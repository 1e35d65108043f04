use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch};

use crate::{NewStage, OrganizationId, Pipeline, PipelineId, Result, Stage, StageId, StageOrder, StagePatch};

/// Stages of pipelines.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Stages: Send + Sync + 'static {
    /// Adds a stage at the end of a pipeline.
    async fn create_stage(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        new: NewStage,
    ) -> Result<Stage>;
    /// Changes a stage, if `known` matches its current version.
    async fn change_stage(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        id: StageId,
        patch: StagePatch,
        known: IfMatch,
    ) -> Result<Stage>;
    /// Deletes a stage. If it has deals, `move_to` must name another stage for them; otherwise 409.
    async fn delete_stage(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        id: StageId,
        move_to: Option<StageId>,
        known: IfMatch,
    ) -> Result<()>;
    /// Reorders the stages of a pipeline.
    async fn order_stages(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        order: StageOrder,
    ) -> Result<Pipeline>;
}
