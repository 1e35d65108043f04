//! Reactions to posts.

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{error::Result, id::PostId, posts::Post};

/// Reactions to posts.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Reactions: Send + Sync + 'static {
    /// Sets the caller's reaction to a post, replacing any earlier one.
    async fn react(&self, caller: &Caller, id: PostId, kind: String) -> Result<()>;
    /// Removes the caller's reaction; only a reaction of this kind, if one is given.
    async fn unreact(&self, caller: &Caller, id: PostId, kind: Option<String>) -> Result<()>;
    /// Removes the caller's reaction if it is of this kind, sets it otherwise. Returns the post.
    async fn toggle_reaction(&self, caller: &Caller, id: PostId, kind: String) -> Result<Post>;
}
