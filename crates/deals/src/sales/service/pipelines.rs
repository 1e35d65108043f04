use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{NewPipeline, OrganizationId, Pipeline, PipelineId, PipelinePatch, Result};

/// Pipelines.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Pipelines: Send + Sync + 'static {
    /// The pipelines of an organization, with their stages.
    async fn pipelines(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Pipeline>>;
    /// Creates a pipeline, with the default stages if none are given.
    async fn create_pipeline(&self, caller: &Caller, org: OrganizationId, new: NewPipeline) -> Result<Pipeline>;
    /// A pipeline.
    async fn pipeline(&self, caller: &Caller, org: OrganizationId, id: PipelineId) -> Result<Pipeline>;
    /// Changes a pipeline, if `known` matches its current version.
    async fn change_pipeline(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: PipelineId,
        patch: PipelinePatch,
        known: IfMatch,
    ) -> Result<Pipeline>;
    /// Deletes a pipeline that has no deals and is not the default.
    async fn delete_pipeline(&self, caller: &Caller, org: OrganizationId, id: PipelineId, known: IfMatch)
    -> Result<()>;
}
