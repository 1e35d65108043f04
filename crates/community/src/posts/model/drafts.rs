use guildhall_kernel::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{id::DraftId, posts::NewPost};

/// A draft of a post.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Draft {
    /// The draft's id.
    pub id: DraftId,
    /// The post to be published.
    #[serde(flatten)]
    pub post: NewPost,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
