//! Previews of linked pages: fetched in the background, with few attempts, after the text with the link was stored.

mod metadata;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::http::{FetchError, PageFetcher};

/// How long a worker may take to fetch a page before another worker tries.
pub const LEASE: Duration = Duration::from_secs(60);
/// How long one attempt may take; shorter than the lease, so that two workers never fetch the same page.
const DEADLINE: Duration = Duration::from_secs(40);
/// The pause after the first failure; it grows tenfold with each further one.
const PAUSE: Duration = Duration::from_secs(60);
/// How often a page is fetched before giving up.
const MAX_ATTEMPTS: i64 = 3;

/// A preview of a linked page, from its metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkPreview {
    /// The URL of the page.
    pub url: String,
    /// The title of the page.
    pub title: String,
    /// The description of the page.
    pub description: String,
    /// The name of the site.
    pub site: String,
}

/// The outcome of an attempt to fetch a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The preview of the page.
    Found(LinkPreview),
    /// There is no preview, and further attempts would not change that.
    NotAvailable,
    /// A later attempt may succeed, after this pause.
    Retry(Duration),
}

/// Fetches a page for its preview, after a number of failed attempts.
pub async fn fetch(fetcher: &dyn PageFetcher, url: &str, failed_attempts: i64) -> Attempt {
    let fetched = timeout(DEADLINE, fetcher.fetch_page(url)).await;
    match fetched.unwrap_or_else(|_| Err(FetchError::Transient("the attempt took too long".to_owned()))) {
        Ok(page) => metadata::read(&page.html).map_or(Attempt::NotAvailable, |metadata| {
            let metadata::Metadata { title, description, site } = metadata;
            Attempt::Found(LinkPreview { url: url.to_owned(), title, description, site })
        }),
        Err(FetchError::Transient(_)) if failed_attempts + 1 < MAX_ATTEMPTS => {
            let times = u32::try_from(failed_attempts).unwrap_or_default();
            Attempt::Retry(PAUSE.saturating_mul(10_u32.saturating_pow(times)))
        }
        Err(_) => Attempt::NotAvailable,
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::http::FetchedPage;

    struct Pages;

    #[async_trait]
    impl PageFetcher for Pages {
        async fn fetch_page(&self, url: &str) -> Result<FetchedPage, FetchError> {
            match url {
                "titled" | "untitled" => {
                    let html = if url == "titled" { "<title>Knots</title>" } else { "Knots" };
                    Ok(FetchedPage { url: "final".to_owned(), html: html.to_owned() })
                }
                "busy" => Err(FetchError::Transient("busy".to_owned())),
                _ => Err(FetchError::Permanent("private".to_owned())),
            }
        }
    }

    #[tokio::test]
    async fn a_page_with_a_title_has_a_preview() {
        let preview = LinkPreview {
            url: "titled".into(),
            title: "Knots".into(),
            description: String::new(),
            site: String::new(),
        };
        assert_eq!(fetch(&Pages, "titled", 0).await, Attempt::Found(preview));
        assert_eq!(fetch(&Pages, "untitled", 0).await, Attempt::NotAvailable);
        assert_eq!(fetch(&Pages, "private", 0).await, Attempt::NotAvailable);
    }

    #[tokio::test]
    async fn a_temporary_failure_is_retried_twice_with_growing_pauses() {
        let outcomes = [fetch(&Pages, "busy", 0).await, fetch(&Pages, "busy", 1).await, fetch(&Pages, "busy", 2).await];
        let [first, second] = [60, 600].map(|seconds| Attempt::Retry(Duration::from_secs(seconds)));
        assert_eq!(outcomes, [first, second, Attempt::NotAvailable]);
    }
}
