//! What happens to notifications when an account is removed.

use async_trait::async_trait;
use guildhall_kernel::{
    Blocker, Result, UserId, UserRemoval,
    db::{self, Snapshot, Tx},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Value, json};

use crate::{
    core::preferences::OwnPreferences,
    entity::{notification, subscription},
};

/// The maximum number of notifications in an export; the API returns the rest page by page.
const MAX_EXPORTED: u64 = 1000;

/// Removes the user from the actors of other users' notifications. Another actor is named instead.
const REMOVE_ACTOR: [&str; 5] = [
    "UPDATE notifications_notification SET actor_count = actor_count - 1, actor_id = CASE WHEN actor_id = $1 THEN \
     (SELECT MAX(a.user_id) FROM notifications_actor a \
     WHERE a.notification_id = notifications_notification.id AND a.user_id <> $1) ELSE actor_id END \
     WHERE id IN (SELECT notification_id FROM notifications_actor WHERE user_id = $1) AND actor_count > 0",
    "DELETE FROM notifications_actor WHERE user_id = $1",
    "UPDATE notifications_notification SET actor_id = NULL WHERE actor_id = $1",
    "UPDATE notifications_queue SET actor_id = NULL WHERE actor_id = $1",
    "UPDATE notifications_due SET actor_id = NULL WHERE actor_id = $1",
];

/// Deletes rows that are deleted even if the account only becomes anonymous.
const DELETE_OWN: [&str; 6] = [
    "DELETE FROM notifications_due WHERE recipient_id = $1",
    "DELETE FROM notifications_notification WHERE recipient_id = $1",
    "DELETE FROM notifications_queue WHERE recipient_id = $1",
    "DELETE FROM notifications_preference WHERE user_id = $1",
    "DELETE FROM notifications_settings WHERE user_id = $1",
    "DELETE FROM notifications_subscription WHERE user_id = $1",
];

/// Deletes the notifications of a removed user, and removes the user from those of others. The events about them on
/// streams are left to `guildhall_realtime::Removal`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Removal;

#[async_trait]
impl UserRemoval for Removal {
    async fn blockers(&self, _: &Tx, _: UserId, _: Option<UserId>) -> Result<Vec<Blocker>> {
        Ok(Vec::new())
    }

    /// Notifications only repeat what other domains store, so they are no use of an account.
    async fn is_used(&self, _: &Tx, _: UserId) -> Result<bool> {
        Ok(false)
    }

    async fn release(&self, tx: &Tx, user: UserId, _: Option<UserId>) -> Result<()> {
        for statement in REMOVE_ACTOR.into_iter().chain(DELETE_OWN) {
            db::execute(&tx.deferred(), statement, [user.into()]).await?;
        }
        Ok(())
    }

    async fn export(&self, conn: &Snapshot, user: UserId) -> Result<(&'static str, Value)> {
        let notifications = notification::Entity::find()
            .filter(notification::COLUMN.recipient_id.eq(user))
            .order_by_desc(notification::Column::Id)
            .limit(MAX_EXPORTED)
            .all(conn)
            .await?;
        let notification = |row: notification::Model| {
            json!({
                "id": row.id, "kind": row.kind, "target": row.target(), "subject": row.subject,
                "created_at": row.created_at, "read_at": row.read_at,
            })
        };
        let subscriptions =
            subscription::Entity::find().filter(subscription::COLUMN.user_id.eq(user)).all(conn).await?;
        let subscription = |row: subscription::Model| json!({ "endpoint": row.endpoint, "created_at": row.created_at });
        let data = json!({
            "notifications": notifications.into_iter().map(notification).collect::<Vec<_>>(),
            "preferences": OwnPreferences::load(conn, user).await?.show(),
            "push_subscriptions": subscriptions.into_iter().map(subscription).collect::<Vec<_>>(),
        });
        Ok(("notifications", data))
    }
}
