//! The one-time link with which the operator creates the first superuser.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use guildhall_kernel::{PublicUrl, Result, Timestamp, secret};
use subtle::ConstantTimeEq;

/// How long the link can be used after the start of the server.
const LIFETIME: Duration = Duration::from_secs(3600);

/// A link that the server prints when it starts without a superuser. It works once, for an hour; a restart makes
/// another one.
#[derive(Clone)]
pub struct SetupLink(Arc<Mutex<Option<Secret>>>);

struct Secret {
    token: String,
    expires_at: Timestamp,
}

impl SetupLink {
    /// A new link.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(now: Timestamp) -> Result<Self> {
        let token = BASE64_URL_SAFE_NO_PAD.encode(secret::random::<24>()?);
        Ok(Self(Arc::new(Mutex::new(Some(Secret { token, expires_at: now + LIFETIME })))))
    }

    /// The URL to print, unless the link has been used.
    pub fn url(&self, base: &PublicUrl) -> Option<String> {
        let secret = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        secret.as_ref().map(|secret| base.join(&format!("/setup/{}/", secret.token)))
    }

    /// How much longer a token can be used; `None` if it is not the token of this link, or no longer valid.
    pub(crate) fn remaining(&self, token: &str, now: Timestamp) -> Option<Duration> {
        let secret = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = secret.as_ref()?;
        let is_equal: bool = secret.token.as_bytes().ct_eq(token.as_bytes()).into();
        (is_equal && secret.expires_at > now).then(|| secret.expires_at.since(now))
    }

    /// Ends the link, after the superuser was created.
    pub(crate) fn spend(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl fmt::Debug for SetupLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetupLink(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_works_for_an_hour_until_it_is_spent() {
        let now = Timestamp::from_unix_seconds(1000);
        let link = SetupLink::new(now).unwrap();
        let url = link.url(&"https://example.org".parse().unwrap()).unwrap();
        let token = url.strip_prefix("https://example.org/setup/").unwrap().trim_end_matches('/').to_owned();
        assert_eq!(link.remaining(&token, now), Some(LIFETIME));
        assert_eq!(link.remaining(&token, now + LIFETIME), None);
        assert_eq!(link.remaining("another", now), None);
        link.spend();
        assert_eq!(link.remaining(&token, now), None);
        assert!(!format!("{link:?}").contains(&token));
    }
}
