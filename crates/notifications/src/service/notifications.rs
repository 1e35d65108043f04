//! The notifications of a user.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery};

use crate::{Notification, NotificationFilter, NotificationId, ReadAll, Result, UnreadCount};

/// The notifications of a user.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Notifications: Send + Sync + 'static {
    /// The caller's notifications about what they may see now.
    async fn notifications(
        &self,
        caller: &Caller,
        filter: NotificationFilter,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Notification>>;
    /// The number of the caller's unread notifications.
    async fn unread_notifications(&self, caller: &Caller) -> Result<UnreadCount>;
    /// Marks a notification as read.
    async fn read_notification(&self, caller: &Caller, id: NotificationId) -> Result<()>;
    /// Marks notifications as read; returns the number of those that are still unread.
    async fn read_all_notifications(&self, caller: &Caller, which: ReadAll) -> Result<UnreadCount>;
}
