use guildhall_kernel::{Person, Timestamp, define_id};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{NotificationKind, Target};

define_id!(
    /// A notification.
    NotificationId
);

/// A notification as its recipient sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Notification {
    /// The notification's id.
    pub id: NotificationId,
    /// Its kind.
    pub kind: NotificationKind,
    /// Who has caused it, the latest of several; `null` if that is nobody, or the account was deleted.
    pub actor: Option<Person>,
    /// How many different users have caused it.
    pub actor_count: i64,
    /// What it is about, if it is about an object.
    pub target: Option<Target>,
    /// The text: `Anna and 4 others reacted to your post “Hello”`.
    pub text: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When something was last added to it.
    pub updated_at: Timestamp,
    /// Whether the recipient has read it.
    pub is_read: bool,
}

/// Filters of the list of notifications.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NotificationFilter {
    /// Only those that are unread, or only those that are read.
    pub unread: Option<bool>,
}

/// The number of unread notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = UnreadNotifications)]
pub struct UnreadCount {
    /// How many there are, counted up to 100.
    pub unread_count: i64,
}

/// Which notifications to mark as read; without any condition, all. A condition that is misspelled is an error.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReadNotifications)]
pub struct ReadAll {
    /// The newest of them: later ones stay unread.
    pub up_to: Option<NotificationId>,
    /// Only those about this object.
    pub target: Option<TargetRef>,
}

/// An object that notifications are about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(as = NotificationTargetRef)]
pub struct TargetRef {
    /// The kind of object: `post`.
    pub kind: String,
    /// Its id.
    pub id: i64,
}
