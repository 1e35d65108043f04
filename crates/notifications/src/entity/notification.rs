use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::{NotificationId, NotificationKind, Target};

/// A notification. Until it is read, later ones of its kind and group are added to it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications_notification")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: NotificationId,
    pub recipient_id: UserId,
    pub kind: NotificationKind,
    pub group_key: String,
    /// The latest actor.
    pub actor_id: Option<UserId>,
    /// The number of different actors, up to a limit.
    pub actor_count: i64,
    pub event_count: i64,
    /// The latest event.
    pub event_id: i64,
    pub target_kind: Option<String>,
    pub target_id: Option<i64>,
    pub target_url: Option<String>,
    pub subject: String,
    pub read_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Model {
    pub(crate) fn target(&self) -> Option<Target> {
        super::target(self.target_kind.as_ref(), self.target_id, self.target_url.as_ref())
    }
}

impl ActiveModelBehavior for ActiveModel {}
