use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{Board, BoardQuery, OrganizationId, PipelineId, Result};

/// Boards of pipelines.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Boards: Send + Sync + 'static {
    /// The first deals of each stage of a pipeline, with the number of deals and their totals.
    async fn board(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        query: BoardQuery,
    ) -> Result<Board>;
}
