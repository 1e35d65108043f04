//! The links in emails that unsubscribe their recipients.

use async_trait::async_trait;

use crate::Result;

/// The links in emails that unsubscribe their recipients, who need not sign in.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Unsubscribing: Send + Sync + 'static {
    /// Whether this is the token of a link in an email that unsubscribes its recipient.
    fn is_unsubscribe_token(&self, token: &str) -> bool;
    /// Stops all emails about notifications to the recipient of the email with this token.
    async fn unsubscribe(&self, token: &str) -> Result<()>;
}
