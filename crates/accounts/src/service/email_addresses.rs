use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{EmailChange, Result};

/// The email address of an account. A change requires the password, and the previous address is notified.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait EmailAddresses: Send + Sync + 'static {
    /// Sends a confirmation link to the caller's new email address; the old one stays until it is confirmed.
    async fn change_email(&self, caller: &Caller, change: EmailChange) -> Result<()>;
    /// Confirms an email address, after registration or a change.
    async fn confirm_email(&self, token: &str) -> Result<()>;
    /// Sends the verification link for the caller's email address again.
    async fn resend_verification(&self, caller: &Caller) -> Result<()>;
}
