use guildhall_files::FileId;
use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::{AttachmentId, MessageId};

/// A file attached to a message, or uploaded to be attached to one.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messaging_attachment")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: AttachmentId,
    /// `None` until it is sent.
    pub message_id: Option<MessageId>,
    /// Whoever can send it; `None` once it is sent.
    pub uploader_id: Option<UserId>,
    /// Its place among the attachments of the message, from 0.
    pub position: i64,
    #[sea_orm(unique)]
    pub file_id: FileId,
    pub name: String,
    pub content_type: String,
    pub size: i64,
    /// Of a picture, in pixels.
    pub width: Option<i64>,
    pub height: Option<i64>,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
