//! Protection against requests that another site makes a browser send.

use std::fmt;

use axum::http::{HeaderMap, header};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use guildhall_kernel::{Error, Kind, PublicUrl, Result};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Separates this use of the hash from others.
const CONTEXT: &str = "guildhall csrf ";

/// The token that each form contains. It is derived from a random number in a cookie that scripts cannot read, so that
/// only pages of this browser's session know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CsrfToken(String);

impl CsrfToken {
    pub(super) fn derive(nonce: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(CONTEXT);
        hash.update(nonce);
        Self(BASE64_URL_SAFE_NO_PAD.encode(hash.finalize()))
    }

    /// Checks what a form or a script has sent; 403 `csrf_failed` if it is something else.
    pub(crate) fn check(&self, sent: Option<&str>) -> Result<()> {
        let is_equal = sent.is_some_and(|sent| self.0.as_bytes().ct_eq(sent.as_bytes()).into());
        if is_equal { Ok(()) } else { Err(refused()) }
    }

    /// The token in the headers of a request of a script.
    pub(crate) fn in_headers(headers: &HeaderMap) -> Option<&str> {
        let value = headers.get("x-csrf-token").or_else(|| headers.get("x-csrftoken"));
        value.and_then(|value| value.to_str().ok())
    }
}

impl fmt::Display for CsrfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 403 `csrf_failed`.
pub(crate) fn refused() -> Error {
    let detail = "This form is out of date, or comes from another site. Open the page again, and send it from there.";
    Error::new(Kind::Forbidden, "csrf_failed", detail)
}

/// Refuses a request that a page of another site caused: 403 `csrf_failed`. Browsers say so in `Sec-Fetch-Site`, old
/// ones in `Origin`. An origin `null` says nothing: it is what forms of pages without a referrer send.
pub(crate) fn check_origin(headers: &HeaderMap, url: &PublicUrl) -> Result<()> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return if matches!(site, "same-origin" | "none") { Ok(()) } else { Err(refused()) };
    }
    match text("origin") {
        None | Some("null") => Ok(()),
        Some(origin) if is_own(origin, text(header::HOST.as_str()), url) => Ok(()),
        Some(_) => Err(refused()),
    }
}

/// Whether an origin is that of the public URL, or of the host that the request was sent to.
fn is_own(origin: &str, host: Option<&str>, url: &PublicUrl) -> bool {
    let base = url.to_string();
    let is_public = base.strip_prefix(origin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    is_public || (authority.is_some() && authority == host)
}

/// Whether the handshake of a socket comes from a page of this service. Browsers always send its origin.
pub(crate) fn is_own_handshake(headers: &HeaderMap, url: &PublicUrl) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    text(header::ORIGIN).is_some_and(|origin| is_own(origin, text(header::HOST), url))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn is_accepted(headers: &[(&'static str, &'static str)]) -> bool {
        let pairs =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        check_origin(&pairs.collect(), &"https://example.org/guild".parse().unwrap()).is_ok()
    }

    #[test]
    fn a_request_from_another_site_is_refused() {
        assert!(!is_accepted(&[("sec-fetch-site", "cross-site"), ("origin", "https://example.org")]));
        assert!(!is_accepted(&[("sec-fetch-site", "same-site")]));
        assert!(!is_accepted(&[("origin", "https://evil.example")]));
        assert!(!is_accepted(&[("origin", "https://example.org.evil.example"), ("host", "example.org")]));
    }

    #[test]
    fn a_request_from_the_service_itself_is_accepted() {
        assert!(is_accepted(&[]));
        assert!(is_accepted(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(is_accepted(&[("sec-fetch-site", "none")]));
        assert!(is_accepted(&[("origin", "https://example.org")]));
        assert!(is_accepted(&[("origin", "http://127.0.0.1:8000"), ("host", "127.0.0.1:8000")]));
    }

    #[test]
    fn only_the_same_token_is_accepted() {
        let token = CsrfToken::derive("0123456789abcdef");
        assert!(token.check(Some(&token.to_string())).is_ok());
        assert!(token.check(None).is_err() && token.check(Some("")).is_err());
        assert!(token.check(Some(&CsrfToken::derive("another").to_string())).is_err());
    }
}
