//! Comments on posts.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, IfMatch};

use crate::{
    error::Result,
    id::{CommentId, PostId},
    posts::{Comment, CommentPatch, NewComment},
};

/// Comments on posts.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Comments: Send + Sync + 'static {
    /// Adds a comment to a post.
    async fn create_comment(&self, caller: &Caller, post: PostId, new: NewComment) -> Result<Comment>;
    /// The comments on a post, or with `parent` the replies to one of them.
    async fn comments(
        &self,
        viewer: Option<Caller>,
        post: PostId,
        parent: Option<CommentId>,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Comment>>;
    /// A comment, if the viewer may read its post.
    async fn comment(&self, viewer: Option<Caller>, id: CommentId) -> Result<Comment>;
    /// Changes the caller's comment, if `known` matches its current version.
    async fn change_comment(
        &self,
        caller: &Caller,
        id: CommentId,
        patch: CommentPatch,
        known: IfMatch,
    ) -> Result<Comment>;
    /// Deletes a comment. One that has replies stays, without its content.
    async fn delete_comment(&self, caller: &Caller, id: CommentId) -> Result<()>;
    /// Likes or unlikes a comment; `None` toggles. Returns the comment.
    async fn like_comment(&self, caller: &Caller, id: CommentId, like: Option<bool>) -> Result<Comment>;
}
