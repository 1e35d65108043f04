//! What an email or a web push is about.

use crate::{Channel, NotificationId, NotificationKind, Target};

/// A notification that is due, as its recipient sees it.
pub(super) struct Message {
    pub(super) id: i64,
    pub(super) channel: Channel,
    pub(super) kind: NotificationKind,
    pub(super) notification: Option<NotificationId>,
    pub(super) target: Option<Target>,
    pub(super) text: String,
}
