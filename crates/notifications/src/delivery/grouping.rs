//! Unread notifications of one kind about one thing are one notification.

use guildhall_kernel::{
    Timestamp,
    db::{self, Tx},
};
use sea_orm::{ActiveEnum, DbErr, Value};

use crate::entity::{notification, queue};

/// The number of actors of a notification that are told apart.
const MAX_ACTORS: i64 = 1000;

/// Creates a notification, or adds the event to the unread one of its group.
const ADD: &str = "INSERT INTO notifications_notification (recipient_id, kind, group_key, actor_id, actor_count, \
     event_count, event_id, target_kind, target_id, target_url, subject, read_at, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, 0, 1, $5, $6, $7, $8, $9, NULL, $10, $10) \
     ON CONFLICT (recipient_id, kind, group_key) WHERE read_at IS NULL DO UPDATE SET \
     actor_id = COALESCE(excluded.actor_id, notifications_notification.actor_id), \
     event_count = notifications_notification.event_count + 1, event_id = excluded.event_id, \
     target_kind = excluded.target_kind, target_id = excluded.target_id, target_url = excluded.target_url, \
     subject = excluded.subject, updated_at = excluded.updated_at RETURNING *";

/// Whether an unread notification of this group has this actor.
const HAS_ACTOR: &str = "SELECT 1 FROM notifications_notification n \
     JOIN notifications_actor a ON a.notification_id = n.id AND a.user_id = $4 \
     WHERE n.recipient_id = $1 AND n.kind = $2 AND n.group_key = $3 AND n.read_at IS NULL";

const ADD_ACTOR: &str = "INSERT INTO notifications_actor (notification_id, user_id) VALUES ($1, $2) \
     ON CONFLICT (notification_id, user_id) DO NOTHING";

const COUNT_ACTOR: &str = "UPDATE notifications_notification SET actor_count = actor_count + 1 WHERE id = $1";

/// A notification as it was stored.
pub(super) struct Stored {
    pub(super) row: notification::Model,
    /// Whether it is a new one.
    pub(super) is_new: bool,
}

/// Stores what is in the queue as a notification; `None` if that is not new for its recipient.
pub(super) async fn add(tx: &Tx, queued: &queue::Model, now: Timestamp) -> Result<Option<Stored>, DbErr> {
    let queue::Model { recipient_id, kind, group_key, actor_id, .. } = queued;
    let group = || -> [Value; 3] { [(*recipient_id).into(), kind.to_value().into(), group_key.as_str().into()] };
    if let (Some(actor), false) = (actor_id, kind.notifies_again()) {
        let values = group().into_iter().chain([(*actor).into()]);
        if db::scalar::<i32>(tx, HAS_ACTOR, values).await?.is_some() {
            return Ok(None);
        }
    }
    let values = group().into_iter().chain([
        (*actor_id).into(),
        queued.event_id.into(),
        queued.target_kind.clone().into(),
        queued.target_id.into(),
        queued.target_url.clone().into(),
        queued.subject.as_str().into(),
        now.into(),
    ]);
    let row = db::row::<notification::Model>(tx, ADD, values).await?;
    let mut row = row.ok_or(DbErr::RecordNotInserted)?;
    if let Some(actor) = actor_id
        && row.actor_count < MAX_ACTORS
        && db::execute(tx, ADD_ACTOR, [row.id.into(), (*actor).into()]).await? == 1
    {
        db::execute(&tx.deferred(), COUNT_ACTOR, [row.id.into()]).await?;
        row.actor_count += 1;
    }
    let is_new = row.event_count == 1;
    Ok(Some(Stored { row, is_new }))
}
