//! Emails, and the port that sends them.

mod template;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::text;

pub use template::{Action, EmailBranding, EmailTemplate};

/// The address with its domain in ASCII (RFC 5890), so that a server without SMTPUTF8 accepts it: only a non-ASCII
/// local part needs that extension. A string that is not an address with a domain is returned unchanged.
pub fn with_ascii_domain(address: &str) -> String {
    let Some((local, domain)) = address.rsplit_once('@') else { return address.to_owned() };
    match idna::domain_to_ascii(domain) {
        Ok(domain) => format!("{local}@{domain}"),
        Err(_) => address.to_owned(),
    }
}

/// The canonical form of an address, for comparison only: emails are sent to the address as it was entered. The local
/// part is [folded](text::fold), the domain is in ASCII.
pub fn address_key(address: &str) -> String {
    match address.trim().rsplit_once('@') {
        // IDNA folds the domain: case folding would turn some (`ß`) into another domain.
        Some((local, domain)) => match idna::domain_to_ascii(domain) {
            Ok(domain) => format!("{}@{domain}", text::fold(local)),
            Err(_) => text::fold(address.trim()),
        },
        None => text::fold(address.trim()),
    }
}

/// An email to one person, as text and as HTML.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// The subject, one line.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
    /// The URL that unsubscribes the recipient with one click (RFC 8058).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsubscribe_url: Option<String>,
}

/// Leaves out the body, which may contain one-time tokens.
impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Why a delivery failed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// A later attempt may succeed.
    #[error("{0}")]
    Transient(String),
    /// No attempt can succeed: the address does not exist, for instance.
    #[error("{0}")]
    Permanent(String),
}

/// Sends emails.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// How many emails may be sent concurrently.
    fn at_once(&self) -> usize {
        1
    }

    /// Sends an email. The same `id` means the same email: it is sent twice if the outcome of the first attempt
    /// could not be stored.
    async fn send(&self, id: i64, mail: &Mail) -> Result<(), DeliveryError>;

    /// Checks that emails can be sent, without sending one.
    async fn check(&self) -> Result<(), DeliveryError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_r23_an_address_has_one_key_for_every_spelling_of_its_domain() {
        let key = address_key("X@müller.example");
        assert_eq!(key, "x@xn--mller-kva.example");
        for same in ["x@MÜLLER.example", "x@xn--mller-kva.example", " x@mu\u{308}ller.example "] {
            assert_eq!(address_key(same), key, "{same}");
        }
        // Two different domains in IDNA 2008.
        assert_ne!(address_key("a@fußball.example"), address_key("a@fussball.example"));
        assert_eq!(address_key("nobody"), "nobody");
    }

    #[test]
    fn fault_r24_a_non_ascii_domain_is_converted_to_ascii() {
        assert_eq!(with_ascii_domain("jurgen@müller.example"), "jurgen@xn--mller-kva.example");
        assert_eq!(with_ascii_domain("Jürgen@example.org"), "Jürgen@example.org");
    }
}
