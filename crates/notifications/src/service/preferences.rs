//! Through which channels a user gets notifications.

use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch};

use crate::{NotificationPreferences, PreferencesPatch, Result};

/// Through which channels a user gets notifications.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Preferences: Send + Sync + 'static {
    /// The caller's preferences.
    async fn notification_preferences(&self, caller: &Caller) -> Result<NotificationPreferences>;
    /// Changes the caller's preferences.
    async fn change_notification_preferences(
        &self,
        caller: &Caller,
        patch: PreferencesPatch,
        known: IfMatch,
    ) -> Result<NotificationPreferences>;
}
