//! Paths of this service.

use std::fmt;

use axum::http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The longest path, in bytes.
const MAX_LENGTH: usize = 2000;
/// What is escaped in a query parameter.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// The path and query of a page of this service. A redirect to it cannot lead elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalPath(String);

impl LocalPath {
    /// The path and query of a request.
    pub(crate) fn of(uri: &Uri) -> Self {
        let text = uri.path_and_query().map_or("/", |path| path.as_str());
        Self::parse(text).unwrap_or_else(Self::home)
    }

    /// The path and query of an absolute URL, wherever it leads.
    pub(crate) fn of_url(url: &str) -> Option<Self> {
        let uri: Uri = url.split('#').next()?.parse().ok()?;
        uri.authority()?;
        Self::parse(uri.path_and_query()?.as_str())
    }

    /// The first page.
    pub(crate) fn home() -> Self {
        Self("/".to_owned())
    }

    /// A path that leads nowhere else: browsers read `//` and `/\` as the start of a host.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('/')?;
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        (is_plain && !rest.starts_with('/') && text.len() <= MAX_LENGTH).then(|| Self(text.to_owned()))
    }

    /// The path without its last segment and without the query.
    pub(crate) fn parent(&self) -> Self {
        let path = self.0.split('?').next().unwrap_or_default();
        let end = path.trim_end_matches('/').rfind('/').unwrap_or_default();
        Self(format!("{}/", path.get(..end).unwrap_or_default()))
    }

    /// The path.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as the value of a query parameter.
    pub(crate) fn encoded(&self) -> String {
        encode(&self.0)
    }
}

/// A text as the value of a query parameter.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

impl fmt::Display for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_does_not_lead_to_another_host() {
        for path in ["/", "/groups/3/?page=2", "/search/?q=a%20b#top"] {
            assert_eq!(LocalPath::parse(path).unwrap().as_str(), path);
        }
        for path in ["", "groups", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/ä", "/a b"]
        {
            assert_eq!(LocalPath::parse(path), None, "{path}");
        }
    }

    #[test]
    fn only_the_path_of_a_url_is_used() {
        let path = |url| LocalPath::of_url(url).map(|path| path.to_string());
        assert_eq!(path("https://a.example/groups/?q=a#top").as_deref(), Some("/groups/?q=a"));
        assert_eq!(path("https://a.example").as_deref(), Some("/"));
        for url in ["", "/groups/", "https://a.example//evil.example/", "https://a b/", "data:text/html,a"] {
            assert_eq!(path(url), None, "{url}");
        }
    }

    #[test]
    fn the_parent_of_a_path_is_a_shorter_one() {
        let parent = |path| LocalPath::parse(path).unwrap().parent().to_string();
        assert_eq!(parent("/posts/5/comments/?a=/b"), "/posts/5/");
        assert_eq!(parent("/posts/5/comments"), "/posts/5/");
        assert_eq!([parent("/posts/"), parent("/")], ["/", "/"]);
    }

    #[test]
    fn a_path_can_be_a_query_parameter() {
        assert_eq!(LocalPath::parse("/a/?b=c&d").unwrap().encoded(), "/a/%3Fb%3Dc%26d");
    }
}
