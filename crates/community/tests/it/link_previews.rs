use std::time::Duration;

use guildhall_community::Posts;

use crate::harness::{community_with, person, post};

#[tokio::test]
async fn linked_pages_get_previews() {
    use guildhall_kernel::http::{FetchError, FetchedPage, PageFetcher};

    struct Pages;

    #[async_trait::async_trait]
    impl PageFetcher for Pages {
        async fn fetch_page(&self, url: &str) -> Result<FetchedPage, FetchError> {
            match url {
                "https://example.com/a" => {
                    let html = "<title>About <b>a</title><meta property=\"og:description\" content=\"All of it\">";
                    Ok(FetchedPage { url: url.to_owned(), html: html.to_owned() })
                }
                "https://example.com/later" => Err(FetchError::Transient("busy".into())),
                _ => Err(FetchError::Permanent("private".into())),
            }
        }
    }

    let settings = guildhall_community::Settings::default();
    let harness = community_with(1, settings, Some(std::sync::Arc::new(Pages))).await;
    let text = "https://example.com/a and http://169.254.169.254/ and https://example.com/later";
    let id = harness.posts.create_post(&person(1), post(text)).await.unwrap().id;
    assert_eq!(harness.fetch_previews().await.unwrap(), 3);
    let shown = harness.posts.post(Some(person(2)), id).await.unwrap().link_previews;
    assert_eq!(
        (shown.len(), shown[0].url.as_str(), shown[0].description.as_str()),
        (1, "https://example.com/a", "All of it")
    );
    assert_eq!(harness.fetch_previews().await.unwrap(), 0, "not retried immediately");
    harness.clock.advance(Duration::from_secs(3600));
    assert_eq!(harness.fetch_previews().await.unwrap(), 1);
}
