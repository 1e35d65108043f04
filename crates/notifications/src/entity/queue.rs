use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::{NotificationKind, Target};

/// What an event has to notify a user of, and whether that has been done.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications_queue")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub event_id: i64,
    pub recipient_id: UserId,
    pub kind: NotificationKind,
    pub group_key: String,
    pub actor_id: Option<UserId>,
    pub target_kind: Option<String>,
    pub target_id: Option<i64>,
    pub target_url: Option<String>,
    pub subject: String,
    pub created_at: Timestamp,
    pub attempts: i64,
    /// The time of the next attempt; null once it is done or has failed.
    pub next_at: Option<Timestamp>,
}

impl Model {
    pub(crate) fn target(&self) -> Option<Target> {
        super::target(self.target_kind.as_ref(), self.target_id, self.target_url.as_ref())
    }
}

impl ActiveModelBehavior for ActiveModel {}
