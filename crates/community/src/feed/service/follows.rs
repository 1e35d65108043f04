//! Follows between users.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Page, PageQuery, UserId};

use crate::{error::Result, feed::Follow};

/// Follows between users.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Follows: Send + Sync + 'static {
    /// Follows or unfollows a user.
    async fn follow(&self, caller: &Caller, user: UserId, follow: bool) -> Result<()>;
    /// Whether the caller follows a user.
    async fn is_following(&self, caller: &Caller, user: UserId) -> Result<bool>;
    /// The users whom the caller follows, most recently followed first.
    async fn follows(&self, caller: &Caller, page: PageQuery) -> Result<Page<Follow>>;
}
