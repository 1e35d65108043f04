use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::id::MessageId;

/// The preview of the first page that a message links to.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messaging_link_preview")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: MessageId,
    /// The [`LinkPreview`](guildhall_kernel::link_preview::LinkPreview) as JSON; `None` until the page was fetched.
    pub page: Option<String>,
    /// The key that the page is encrypted with.
    pub key_id: Option<String>,
    /// How often the page was fetched.
    pub attempts: i64,
    /// When the page is fetched; `None` once it was.
    pub next_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
