//! Mail: what a letter is, and the port through which it leaves.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::text;

/// An address whose domain is written in ASCII (RFC 5890), so that a server without SMTPUTF8 takes it too: only a
/// local part beyond ASCII needs that. What is no address with a domain stays as it is.
pub fn with_ascii_domain(address: &str) -> String {
    let Some((local, domain)) = address.rsplit_once('@') else { return address.to_owned() };
    match idna::domain_to_ascii(domain) {
        Ok(domain) => format!("{local}@{domain}"),
        Err(_) => address.to_owned(),
    }
}

/// The form in which two spellings of one address are equal, for comparing only: emails go to an address as it was
/// typed. The local part is [folded](text::fold), the domain is in ASCII.
pub fn address_key(address: &str) -> String {
    match address.trim().rsplit_once('@') {
        // Case folding would make another domain of some (`ß`), so IDNA does it.
        Some((local, domain)) => match idna::domain_to_ascii(domain) {
            Ok(domain) => format!("{}@{domain}", text::fold(local)),
            Err(_) => text::fold(address.trim()),
        },
        None => text::fold(address.trim()),
    }
}

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
    /// How many emails are handed over at a time.
    fn at_once(&self) -> usize {
        1
    }

    /// Hands a letter over. The same `id` means the same letter, which may be handed over twice when
    /// the first time was not noted.
    async fn send(&self, id: i64, mail: &Mail) -> Result<(), Undelivered>;

    /// Can letters be handed over? Sends none.
    async fn check(&self) -> Result<(), Undelivered>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_r23_an_address_is_the_same_in_every_spelling_of_its_domain() {
        let key = address_key("X@müller.example");
        assert_eq!(key, "x@xn--mller-kva.example");
        for same in ["x@MÜLLER.example", "x@xn--mller-kva.example", " x@mu\u{308}ller.example "] {
            assert_eq!(address_key(same), key, "{same}");
        }
        // IDNA 2008 tells them apart: they are two domains.
        assert_ne!(address_key("a@fußball.example"), address_key("a@fussball.example"));
        assert_eq!(address_key("nobody"), "nobody");
    }

    #[test]
    fn fault_r24_a_domain_beyond_ascii_is_written_in_ascii() {
        assert_eq!(with_ascii_domain("jurgen@müller.example"), "jurgen@xn--mller-kva.example");
        assert_eq!(with_ascii_domain("Jürgen@example.org"), "Jürgen@example.org");
    }
}
