//! Requests to join a group.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Page, PageQuery};

use crate::{
    error::Result,
    groups::JoinRequest,
    id::{GroupId, RequestId},
};

/// Requests to join a group.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait JoinRequests: Send + Sync + 'static {
    /// The pending requests to join a group.
    async fn requests(&self, caller: &Caller, id: GroupId, page: PageQuery) -> Result<Page<JoinRequest>>;
    /// Approves or denies a request to join.
    async fn decide_request(
        &self,
        caller: &Caller,
        id: GroupId,
        request: RequestId,
        approve: bool,
    ) -> Result<JoinRequest>;
}
