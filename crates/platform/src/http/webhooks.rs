//! Webhooks: requests to a URL that a user chose.

use async_trait::async_trait;
use guildhall_kernel::http::{FetchError, WebhookSender};
use reqwest::{Url, header::CONTENT_TYPE};

use super::{PublicHttp, REQUEST_TIMEOUT, fetch_error};

#[async_trait]
impl WebhookSender for PublicHttp {
    async fn send(&self, url: &str, headers: &[(&'static str, String)], body: &str) -> Result<u16, FetchError> {
        let url = Url::parse(url).map_err(|error| FetchError::Permanent(error.to_string()))?;
        self.check(&url)?;
        let request = self.client.post(url).header(CONTENT_TYPE, "application/json").timeout(REQUEST_TIMEOUT);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let response = request.body(body.to_owned()).send().await.map_err(fetch_error)?;
        Ok(response.status().as_u16())
    }

    fn refuses(&self, url: &str) -> Option<String> {
        let url = match Url::parse(url) {
            Ok(url) => url,
            Err(error) => return Some(error.to_string()),
        };
        self.check(&url).err().map(|refusal| refusal.to_string())
    }
}

impl PublicHttp {
    /// Posts a body to a URL that a user chose, and returns the status of the response, also of an error. Private
    /// networks are refused and redirects are not followed.
    ///
    /// # Errors
    /// If there is no response.
    pub async fn post(&self, url: &str, headers: &[(&'static str, String)], body: Vec<u8>) -> Result<u16, FetchError> {
        let url = Url::parse(url).map_err(|error| FetchError::Permanent(error.to_string()))?;
        self.check(&url)?;
        let request = self.client.post(url).timeout(REQUEST_TIMEOUT);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let response = request.body(body).send().await.map_err(fetch_error)?;
        Ok(response.status().as_u16())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{moved, response, serve},
        *,
    };
    use crate::address::is_public;

    #[tokio::test]
    async fn webhooks_are_sent_to_public_hosts_without_following_redirects() {
        let host = serve(|path| match path {
            "/moved" => moved("http://10.0.0.1/"),
            "/full" => response("507 Insufficient Storage", "content-length: 0", ""),
            _ => response("204 No Content", "content-length: 0", ""),
        })
        .await;
        let web = PublicHttp::loopback();
        let headers = [("webhook-id", "msg_1".to_owned())];
        for (path, status) in [("moved", 302), ("full", 507), ("hook", 204)] {
            let sent = web.send(&format!("http://{host}/{path}"), &headers, "{}").await;
            assert_eq!(sent.unwrap(), status, "{path}");
        }
        let public_only = PublicHttp::with(is_public, true);
        for url in [format!("http://{host}/"), format!("http://localhost:{}/", host.port()), "ftp://x/".to_owned()] {
            assert!(matches!(public_only.send(&url, &headers, "{}").await, Err(FetchError::Permanent(_))), "{url}");
        }
        let strict = PublicHttp::with(is_public, false);
        assert!(strict.refuses("http://192.168.0.1/hook").is_some() && strict.refuses("nonsense").is_some());
        assert_eq!(strict.refuses("https://example.org/hook"), None);
    }
}
