//! Bookmarks.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery};

use crate::{error::Result, id::PostId, posts::Post};

/// Bookmarks.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Bookmarks: Send + Sync + 'static {
    /// Bookmarks a post, or removes the bookmark.
    async fn bookmark(&self, caller: &Caller, id: PostId, bookmarked: bool) -> Result<()>;
    /// Toggles the bookmark on a post. Returns whether the post is bookmarked now.
    async fn toggle_bookmark(&self, caller: &Caller, id: PostId) -> Result<bool>;
    /// The caller's bookmarked posts that they may still read, most recently bookmarked first.
    async fn bookmarks(&self, caller: &Caller, cursor: CursorQuery) -> Result<CursorPage<Post>>;
}
