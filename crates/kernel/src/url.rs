use std::{fmt, str::FromStr, sync::Arc};

use axum::http::Uri;

/// The address under which clients reach the service: the base of every absolute URL in an answer.
///
/// It is a setting and never the request's `Host` header, which whoever sends the request chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Arc<str>);

impl PublicUrl {
    /// The absolute URL of a path that begins with `/`.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Is it reached over TLS?
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no [`PublicUrl`].
#[derive(Debug, thiserror::Error)]
#[error("is no address like https://example.org")]
pub struct InvalidPublicUrl;

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, InvalidPublicUrl> {
        let trimmed = text.trim_end_matches('/');
        let uri: Uri = trimmed.parse().map_err(|_| InvalidPublicUrl)?;
        let web = matches!(uri.scheme_str(), Some("http" | "https"));
        if !web || uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
            return Err(InvalidPublicUrl);
        }
        Ok(Self(trimmed.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_taken() {
        for good in ["http://127.0.0.1:8000", "https://example.org/", "http://localhost/guild"] {
            assert!(good.parse::<PublicUrl>().is_ok(), "{good}");
        }
        for bad in ["", "example.org", "ftp://example.org", "http://", "http://a/?b=c", "/x"] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad}");
        }
    }
}
