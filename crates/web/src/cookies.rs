//! Cookies.

use axum::http::{HeaderMap, HeaderValue, header};
use guildhall_kernel::PublicUrl;

/// The prefix with which browsers accept a cookie only from this host, over HTTPS and for all paths.
const HOST_PREFIX: &str = "__Host-";

/// Reads and writes cookies for a public URL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookies {
    is_secure: bool,
}

/// How long a browser keeps a cookie.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep {
    /// Until it is closed.
    Session,
    /// For this many seconds.
    Seconds(u64),
}

/// A year, in seconds.
pub(crate) const YEAR: Keep = Keep::Seconds(365 * 24 * 3600);

impl Cookies {
    pub(crate) fn new(url: &PublicUrl) -> Self {
        Self { is_secure: url.is_https() }
    }

    fn prefix(self) -> &'static str {
        if self.is_secure { HOST_PREFIX } else { "" }
    }

    /// The value of the cookie with this name.
    pub(crate) fn get<'a>(self, headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(found, _)| found.strip_prefix(self.prefix()) == Some(name)).map(|(_, value)| value)
    }

    /// The header that sets a cookie which scripts cannot read. `None` if the value contains other characters than a
    /// cookie may.
    pub(crate) fn set(self, name: &str, value: &str, keep: Keep) -> Option<HeaderValue> {
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
        if !value.bytes().all(is_allowed) {
            return None;
        }
        let age = match keep {
            Keep::Session => String::new(),
            Keep::Seconds(seconds) => format!("; Max-Age={seconds}"),
        };
        let secure = if self.is_secure { "; Secure" } else { "" };
        let prefix = self.prefix();
        HeaderValue::from_str(&format!("{prefix}{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}")).ok()
    }

    /// The header that removes a cookie.
    pub(crate) fn remove(self, name: &str) -> Option<HeaderValue> {
        self.set(name, "", Keep::Seconds(0))
    }

    /// Whether these headers of a response set the cookie with this name.
    pub(crate) fn is_set(self, headers: &HeaderMap, name: &str) -> bool {
        let start = format!("{}{name}=", self.prefix());
        headers.get_all(header::SET_COOKIE).iter().any(|value| value.as_bytes().starts_with(start.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(url: &str) -> Cookies {
        Cookies::new(&url.parse().unwrap())
    }

    #[test]
    fn a_cookie_is_bound_to_the_host_where_the_connection_is_secure() {
        let value = cookies("https://example.org").set("session", "a~b", Keep::Seconds(60)).unwrap();
        assert_eq!(value, "__Host-session=a~b; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60");
        let value = cookies("http://127.0.0.1:8000").set("session", "a~b", Keep::Session).unwrap();
        assert_eq!(value, "session=a~b; Path=/; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn a_value_cannot_add_attributes() {
        for value in ["a; Domain=example.org", "a\r\nX: y", "a b", "é", "\""] {
            assert_eq!(cookies("https://example.org").set("theme", value, Keep::Session), None, "{value}");
        }
    }

    #[test]
    fn a_cookie_without_the_prefix_is_not_read_where_it_has_one() {
        let headers = |value| HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(value))]);
        let found = headers("theme=dark; session=forged; __Host-session=real");
        assert_eq!(cookies("https://example.org").get(&found, "session"), Some("real"));
        assert_eq!(cookies("http://example.org").get(&found, "session"), Some("forged"));
        assert_eq!(cookies("https://example.org").get(&found, "theme"), None);
    }
}
