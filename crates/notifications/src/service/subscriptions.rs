//! Browsers that receive web pushes.

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{NewPushSubscription, PushEndpoint, PushKey, PushSubscription, Result};

/// Browsers that receive web pushes.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait PushSubscriptions: Send + Sync + 'static {
    /// The public key of the server, for which browsers subscribe.
    fn push_key(&self) -> Result<PushKey>;
    /// Sends the caller's notifications to a browser, and those of no other user.
    async fn add_push_subscription(&self, caller: &Caller, new: NewPushSubscription) -> Result<PushSubscription>;
    /// Sends no more notifications to a browser.
    async fn remove_push_subscription(&self, caller: &Caller, endpoint: PushEndpoint) -> Result<()>;
}
