use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CommentId, PostId};

/// What somebody wrote about a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Comment {
    /// The comment's id.
    pub id: CommentId,
    /// The post.
    pub post: PostId,
    /// The comment that it answers.
    pub parent: Option<CommentId>,
    /// How many comments are above it in its thread.
    pub depth: i64,
    /// Who wrote it; `null` once they are gone, and when it was deleted.
    pub author: Option<Person>,
    /// What they wrote, as Markdown; empty when it was deleted.
    pub content: String,
    /// The same as HTML that is safe to show.
    pub content_html: String,
    /// It was deleted, and stands here for its answers.
    pub is_deleted: bool,
    /// How many answers it has.
    pub reply_count: i64,
    /// How many like it.
    pub like_count: i64,
    /// Does the caller?
    pub is_liked: bool,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A comment to be written.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewComment {
    /// Markdown.
    #[garde(custom(text::block(1, 10_000)))]
    pub content: String,
    /// The comment that it answers.
    #[garde(skip)]
    pub parent: Option<CommentId>,
}

/// A change to a comment.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct CommentPatch {
    /// Markdown.
    #[garde(custom(text::block(1, 10_000)))]
    pub content: String,
}
