//! Mail: what a letter is, and the port through which it leaves.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A letter to one person, as text and as HTML.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// The subject, one line.
    pub subject: String,
    /// For those who read text.
    pub text: String,
    /// For all others.
    pub html: String,
}

/// Letters hold links that open accounts.
impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Why a letter was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// It may be taken later.
    #[error("{0}")]
    ForNow(String),
    /// It never will be: there is no such address, for instance.
    #[error("{0}")]
    ForGood(String),
}

/// Takes letters to where they are delivered.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Hands a letter over. The same `id` means the same letter, which may be handed over twice when
    /// the first time was not noted.
    async fn send(&self, id: i64, mail: &Mail) -> Result<(), Undelivered>;

    /// Can letters be handed over? Sends none.
    async fn check(&self) -> Result<(), Undelivered>;
}
