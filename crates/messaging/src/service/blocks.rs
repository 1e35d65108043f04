//! People whom the caller has blocked.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, UserId};

use crate::{error::Result, model::Block};

/// People whom the caller has blocked.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Blocks: Send + Sync + 'static {
    /// The people whom the caller has blocked, newest first.
    async fn blocks(&self, caller: &Caller, cursor: CursorQuery) -> Result<CursorPage<Block>>;
    /// Blocks a user: the two can no longer write to each other. They are not informed.
    async fn block(&self, caller: &Caller, user: UserId) -> Result<()>;
    /// Unblocks a user; whoever is not blocked stays so. 404 if there is no such user.
    async fn unblock(&self, caller: &Caller, user: UserId) -> Result<()>;
}
