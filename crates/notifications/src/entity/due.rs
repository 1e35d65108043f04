use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::{Channel, NotificationId, NotificationKind, Target};

/// An email or a web push that is sent later.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications_due")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub recipient_id: UserId,
    pub channel: Channel,
    /// Null if the recipient gets no such notifications on the page.
    pub notification_id: Option<NotificationId>,
    pub kind: NotificationKind,
    pub actor_id: Option<UserId>,
    pub target_kind: Option<String>,
    pub target_id: Option<i64>,
    pub target_url: Option<String>,
    pub subject: String,
    pub due_at: Timestamp,
}

impl Model {
    pub(crate) fn target(&self) -> Option<Target> {
        super::target(self.target_kind.as_ref(), self.target_id, self.target_url.as_ref())
    }
}

impl ActiveModelBehavior for ActiveModel {}
