//! Ports for outgoing HTTP requests: fetching pages and sending webhooks.

use async_trait::async_trait;

/// A page that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPage {
    /// The final URL, after redirects.
    pub url: String,
    /// The HTML, truncated if it is too long.
    pub html: String,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A later attempt may succeed.
    #[error("{0}")]
    Transient(String),
    /// No attempt can succeed: the page does not exist, for instance, or the address is not public.
    #[error("{0}")]
    Permanent(String),
}

/// Fetches public pages.
#[async_trait]
pub trait PageFetcher: Send + Sync + 'static {
    /// Fetches an HTML page. The URL may be untrusted: requests and redirects to private networks are refused.
    async fn fetch_page(&self, url: &str) -> Result<FetchedPage, FetchError>;
}

/// Sends webhooks.
#[async_trait]
pub trait WebhookSender: Send + Sync + 'static {
    /// Posts a JSON body to a public URL and returns the status of the response, also of an error. Private networks are
    /// refused and redirects are not followed.
    async fn send(&self, url: &str, headers: &[(&'static str, String)], body: &str) -> Result<u16, FetchError>;

    /// Why this URL is not allowed; `None` if it is.
    fn refuses(&self, url: &str) -> Option<String>;
}
