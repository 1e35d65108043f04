//! The session of a browser.
//!
//! The cookie holds the access and the refresh token of a session, as programs do. So nothing has to be stored for
//! browsers beside what accounts store: session and user are read on every request, refresh tokens rotate, a stolen one
//! that is used again ends the session, and ending the session anywhere ends it here. The cookie also holds a random
//! number that stays the same as long as the session; the CSRF token of its forms is derived from it.

mod csrf;

use axum::http::{HeaderMap, HeaderValue};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use guildhall_accounts::TokenPair;
use guildhall_kernel::{Result, Timestamp, secret};

use crate::cookies::{Cookies, Keep};

pub(crate) use csrf::{CsrfToken, check_origin, is_own_handshake, refused};

/// The name of the cookie of a session.
const SESSION: &str = "session";
/// The name of the cookie of somebody who is not signed in.
const VISIT: &str = "visit";
/// Separates the parts of the cookie of a session. Tokens do not contain it.
const SEPARATOR: char = '~';
/// How long before its end an access token is replaced, in seconds.
const REFRESH_EARLY_SECONDS: i64 = 20;
/// The longest random number that is accepted, in bytes.
const MAX_NONCE: usize = 64;

/// The random number of a session or visit, in base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nonce(String);

impl Nonce {
    pub(crate) fn random() -> Result<Self> {
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode(secret::random::<18>()?)))
    }

    fn parse(text: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_valid = (16..=MAX_NONCE).contains(&text.len()) && text.bytes().all(is_allowed);
        is_valid.then(|| Self(text.to_owned()))
    }

    /// The number of somebody who is not signed in.
    pub(crate) fn of_visit(cookies: Cookies, headers: &HeaderMap) -> Option<Self> {
        cookies.get(headers, VISIT).and_then(Self::parse)
    }

    /// The header that sets the cookie of a visit.
    pub(crate) fn visit_cookie(&self, cookies: Cookies) -> Option<HeaderValue> {
        cookies.set(VISIT, &self.0, Keep::Session)
    }

    /// The CSRF token of the forms.
    pub(crate) fn csrf_token(&self) -> CsrfToken {
        CsrfToken::derive(&self.0)
    }
}

/// What the cookie of a session holds.
#[derive(Clone)]
pub(crate) struct Session {
    /// When the access token expires, as Unix time. The client could change it, which would only change when the
    /// tokens are replaced.
    expires: i64,
    pub(crate) nonce: Nonce,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Session {
    /// A new session, with a number that no earlier page knows.
    pub(crate) fn begin(tokens: TokenPair, now: Timestamp) -> Result<Self> {
        Ok(Self::with(Nonce::random()?, tokens, now))
    }

    /// The same session with fresh tokens.
    pub(crate) fn renewed(&self, tokens: TokenPair, now: Timestamp) -> Self {
        Self::with(self.nonce.clone(), tokens, now)
    }

    fn with(nonce: Nonce, tokens: TokenPair, now: Timestamp) -> Self {
        let expires = now.unix_seconds().saturating_add(tokens.expires_in);
        Self { expires, nonce, access: tokens.access, refresh: tokens.refresh }
    }

    /// The session in the cookies of a request.
    pub(crate) fn from_headers(cookies: Cookies, headers: &HeaderMap) -> Option<Self> {
        let mut parts = cookies.get(headers, SESSION)?.split(SEPARATOR);
        let expires = parts.next()?.parse().ok()?;
        let nonce = Nonce::parse(parts.next()?)?;
        let (access, refresh) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        parts.next().is_none().then_some(Self { expires, nonce, access, refresh })
    }

    /// Whether the tokens have to be replaced.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.expires <= now.unix_seconds() + REFRESH_EARLY_SECONDS
    }

    /// The header that sets the cookie.
    pub(crate) fn cookie(&self, cookies: Cookies, seconds: u64) -> Option<HeaderValue> {
        let Self { expires, nonce: Nonce(nonce), access, refresh } = self;
        cookies.set(SESSION, &format!("{expires}~{nonce}~{access}~{refresh}"), Keep::Seconds(seconds))
    }

    /// The header that removes the cookie.
    pub(crate) fn end_cookie(cookies: Cookies) -> Option<HeaderValue> {
        cookies.remove(SESSION)
    }

    /// Whether these headers of a response set or remove the cookie.
    pub(crate) fn is_changed_by(cookies: Cookies, headers: &HeaderMap) -> bool {
        cookies.is_set(headers, SESSION)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    fn session() -> Session {
        let tokens =
            TokenPair { access: "a.b.c".into(), refresh: "d.e.f".into(), token_type: "Bearer", expires_in: 300 };
        Session::begin(tokens, Timestamp::from_unix_seconds(1000)).unwrap()
    }

    #[test]
    fn a_cookie_is_read_as_it_was_written() {
        let cookies = Cookies::new(&"https://example.org".parse().unwrap());
        let written = session();
        let header_value = written.cookie(cookies, 60).unwrap();
        let pair = header_value.to_str().unwrap().split(';').next().unwrap();
        let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(pair).unwrap())]);
        let read = Session::from_headers(cookies, &headers).unwrap();
        assert_eq!((read.expires, &read.nonce), (1300, &written.nonce));
        assert_eq!((read.access.as_str(), read.refresh.as_str()), ("a.b.c", "d.e.f"));
    }

    #[test]
    fn other_cookies_are_no_sessions() {
        let cookies = Cookies::new(&"http://example.org".parse().unwrap());
        for value in
            ["", "x", "1~short~a~b", "x~0123456789abcdef~a~b", "1~0123456789abcdef~a", "1~0123456789abcdef~a~b~c"]
        {
            let pair = HeaderValue::from_str(&format!("session={value}")).unwrap();
            let headers = HeaderMap::from_iter([(header::COOKIE, pair)]);
            assert!(Session::from_headers(cookies, &headers).is_none(), "{value}");
        }
    }

    #[test]
    fn tokens_are_replaced_shortly_before_they_expire() {
        let session = session();
        assert!(!session.is_due(Timestamp::from_unix_seconds(1200)));
        assert!(session.is_due(Timestamp::from_unix_seconds(1285)));
    }

    #[test]
    fn each_session_has_its_own_csrf_token() {
        assert_ne!(session().nonce.csrf_token(), session().nonce.csrf_token());
    }
}
