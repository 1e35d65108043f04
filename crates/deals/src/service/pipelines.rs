use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{
    Board, Lane, NewPipeline, NewStage, OrganizationId, Pipeline, PipelineId, PipelinePatch, Result, Stage, StageId,
    StageOrder, StagePatch,
};

/// The stages that deals go through.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Pipelines: Send + Sync + 'static {
    /// The pipelines of an organization, with their stages.
    async fn pipelines(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Pipeline>>;
    /// Makes a pipeline.
    async fn create_pipeline(&self, caller: &Caller, org: OrganizationId, new: NewPipeline) -> Result<Pipeline>;
    /// A pipeline.
    async fn pipeline(&self, caller: &Caller, org: OrganizationId, id: PipelineId) -> Result<Pipeline>;
    /// Changes a pipeline.
    async fn change_pipeline(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: PipelineId,
        patch: PipelinePatch,
        known: IfMatch,
    ) -> Result<Pipeline>;
    /// Removes a pipeline that has no deals and is not where new ones begin.
    async fn delete_pipeline(&self, caller: &Caller, org: OrganizationId, id: PipelineId, known: IfMatch)
    -> Result<()>;
    /// Adds a stage at the end of a pipeline.
    async fn create_stage(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        new: NewStage,
    ) -> Result<Stage>;
    /// Changes a stage.
    async fn change_stage(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        id: StageId,
        patch: StagePatch,
        known: IfMatch,
    ) -> Result<Stage>;
    /// Removes a stage; 409 where deals are in it, unless it is said where they go.
    async fn delete_stage(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        id: StageId,
        move_to: Option<StageId>,
        known: IfMatch,
    ) -> Result<()>;
    /// Puts the stages of a pipeline in another order.
    async fn order_stages(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        order: StageOrder,
    ) -> Result<Pipeline>;
    /// A pipeline with the first deals of each stage, and what they are worth.
    async fn board(&self, caller: &Caller, org: OrganizationId, pipeline: PipelineId, lane: Lane) -> Result<Board>;
}
