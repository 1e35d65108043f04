//! The HTTP client for web pushes.

use std::sync::Arc;

use async_trait::async_trait;
use guildhall_kernel::http::{FetchError, WebhookSender};
use guildhall_notifications::push::PushClient;
use guildhall_platform::PublicHttp;

/// Reaches push services on the public Internet.
pub(crate) struct PublicPushClient(pub(crate) Arc<PublicHttp>);

#[async_trait]
impl PushClient for PublicPushClient {
    async fn post(&self, url: &str, headers: &[(&'static str, String)], body: Vec<u8>) -> Result<u16, FetchError> {
        self.0.post(url, headers, body).await
    }

    fn refuses(&self, url: &str) -> Option<String> {
        if !url.starts_with("https://") {
            return Some("it does not begin with https://".to_owned());
        }
        self.0.refuses(url)
    }
}
