use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{CommentId, PostId};

/// A comment on a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Comment {
    /// The comment's id.
    pub id: CommentId,
    /// The post.
    pub post: PostId,
    /// The comment that it replies to.
    pub parent: Option<CommentId>,
    /// Its nesting depth, from 0.
    pub depth: i64,
    /// The author; `null` once their account or the comment is deleted.
    pub author: Option<Person>,
    /// Markdown; empty if the comment was deleted.
    pub content: String,
    /// The content as sanitized HTML.
    pub content_html: String,
    /// It was deleted; it stays because it has replies.
    pub is_deleted: bool,
    /// Number of direct replies.
    pub reply_count: i64,
    /// Number of likes.
    pub like_count: i64,
    /// Whether the caller likes it.
    pub is_liked: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A comment to create.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewComment {
    /// Markdown.
    #[garde(custom(text::block(1, 10_000)))]
    pub content: String,
    /// The comment that it replies to.
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
