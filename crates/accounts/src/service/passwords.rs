use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{PasswordChange, PasswordProof, PasswordReset, ResetRequest, Result, TokenPair};

/// Passwords. The owner is notified of each change by email.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Passwords: Send + Sync + 'static {
    /// Changes the caller's password. Ends all sessions and opens a new one for the caller.
    async fn change_password(&self, caller: &Caller, change: PasswordChange) -> Result<TokenPair>;
    /// Sends a password reset link to a verified email address. The result is the same if no active account has
    /// verified it.
    async fn request_reset(&self, request: ResetRequest) -> Result<()>;
    /// Sets a new password with the token from an email. Ends all sessions. Keeps the second factor.
    async fn reset_password(&self, reset: PasswordReset) -> Result<()>;
    /// Confirms the caller's password and records the time in the session.
    async fn step_up(&self, caller: &Caller, proof: PasswordProof) -> Result<()>;
}
