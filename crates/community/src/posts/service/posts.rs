//! Posts.

use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch};

use crate::{
    error::Result,
    id::PostId,
    posts::{NewPost, Post, PostPatch},
};

/// Posts.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Posts: Send + Sync + 'static {
    /// Publishes a post, in a group that the caller is a member of or outside any group.
    async fn create_post(&self, caller: &Caller, new: NewPost) -> Result<Post>;
    /// The HTML that a post with this content would have.
    ///
    /// # Errors
    /// At the field `content`, if a post could not have it.
    fn preview(&self, content: String) -> Result<String>;
    /// A post, if the viewer may read it.
    async fn post(&self, viewer: Option<Caller>, id: PostId) -> Result<Post>;
    /// Changes a post, if `known` matches its current version.
    async fn change_post(&self, caller: &Caller, id: PostId, patch: PostPatch, known: IfMatch) -> Result<Post>;
    /// Deletes a post with its comments, reactions and attachments, if `known` matches its current version.
    async fn delete_post(&self, caller: &Caller, id: PostId, known: IfMatch) -> Result<()>;
}
