use std::{fmt, str::FromStr, sync::Arc};

use axum::http::Uri;

/// The URL at which clients reach the service: the base of every absolute URL in a response.
///
/// It is a setting and not the request's `Host` header, which the client controls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Arc<str>);

impl PublicUrl {
    /// The absolute URL of a path that begins with `/`.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The path of the absolute URL of a path that begins with `/`: what follows the host.
    pub fn path(&self, path: &str) -> String {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let base = rest.find('/').map_or("", |start| &rest[start..]);
        format!("{base}{path}")
    }

    /// Whether the scheme is `https`.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A string that is not a valid [`PublicUrl`].
#[derive(Debug, thiserror::Error)]
#[error("is not a URL like https://example.org")]
pub struct InvalidPublicUrl;

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, InvalidPublicUrl> {
        let trimmed = text.trim_end_matches('/');
        let uri: Uri = trimmed.parse().map_err(|_| InvalidPublicUrl)?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_http || uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
            return Err(InvalidPublicUrl);
        }
        Ok(Self(trimmed.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_follows_the_host() {
        for (url, path) in [("http://127.0.0.1:8000/", "/x/"), ("https://example.org/guild/api", "/guild/api/x/")] {
            assert_eq!(url.parse::<PublicUrl>().unwrap().path("/x/"), path);
        }
    }

    #[test]
    fn only_http_urls_are_valid() {
        for valid in ["http://127.0.0.1:8000", "https://example.org/", "http://localhost/guild"] {
            assert!(valid.parse::<PublicUrl>().is_ok(), "{valid}");
        }
        for invalid in ["", "example.org", "ftp://example.org", "http://", "http://a/?b=c", "/x"] {
            assert!(invalid.parse::<PublicUrl>().is_err(), "{invalid}");
        }
    }
}
