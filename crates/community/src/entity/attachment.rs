use guildhall_files::FileId;
use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::id::{AttachmentId, PostId};

/// A file attached to a post.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_attachment")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: AttachmentId,
    pub post_id: PostId,
    #[sea_orm(unique)]
    pub file_id: FileId,
    pub name: String,
    pub content_type: String,
    pub size: i64,
    pub is_picture: bool,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
