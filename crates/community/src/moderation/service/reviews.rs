//! The review queue of a group.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Page, PageQuery};

use crate::{
    error::Result,
    id::{GroupId, PostId},
    posts::Post,
};

/// The review queue of a group.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait ReviewQueue: Send + Sync + 'static {
    /// The posts that await approval, oldest first.
    async fn queue(&self, caller: &Caller, group: GroupId, page: PageQuery) -> Result<Page<Post>>;
    /// Approves a post, or rejects and deletes it.
    async fn decide_post(&self, caller: &Caller, id: PostId, approve: bool) -> Result<()>;
}
