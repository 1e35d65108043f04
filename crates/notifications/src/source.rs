//! The port through which domains notify users.

use std::collections::HashSet;

use async_trait::async_trait;
use guildhall_kernel::{Result, UserId, db::Tx, event::Emitted};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::NotificationKind;

/// What a notification is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = NotificationTarget)]
pub struct Target {
    /// The kind of object: `post`.
    pub kind: String,
    /// Its id.
    pub id: i64,
    /// Where people find it: an absolute URL; sources give a path that begins with `/`.
    pub url: String,
}

/// A notification that an event causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotification {
    /// Who is notified. Users are not notified of what they do themselves.
    pub recipient: UserId,
    /// The kind.
    pub kind: NotificationKind,
    /// Who has caused it.
    pub actor: Option<UserId>,
    /// What it is about. Without a target, the recipient may always see it.
    pub target: Option<Target>,
    /// Unread notifications of a kind and this key are one: `post/5`.
    pub group_key: String,
    /// What the text is about, as a part of a sentence: `your post “Hello”`. For [`NotificationKind::System`], the
    /// whole text.
    pub subject: String,
}

/// Turns the events of a domain into notifications, and knows who may see its objects.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// The names of the events that cause notifications.
    fn events(&self) -> Vec<&'static str>;

    /// The kinds of targets that it knows.
    fn targets(&self) -> Vec<&'static str>;

    /// The notifications that an event causes. Of several for the same recipient, the first counts. Called in a
    /// transaction, so it must not do anything slow.
    async fn notifications(&self, tx: &Tx, event: &Emitted) -> Result<Vec<NewNotification>>;

    /// Which of these objects of a kind the user may see now; those that do not exist are not among them.
    async fn may_see(&self, user: UserId, kind: &str, ids: &[i64]) -> Result<HashSet<i64>>;
}
