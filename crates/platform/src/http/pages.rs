//! Pages: HTML documents at a URL that a user chose.

use async_trait::async_trait;
use guildhall_kernel::http::{FetchError, FetchedPage, PageFetcher};
use reqwest::{
    Response, Url,
    header::{ACCEPT, CONTENT_TYPE, LOCATION},
};

use super::{PublicHttp, REQUEST_TIMEOUT, fetch_error};

/// Content types accepted as a page.
const PAGE_TYPES: [&str; 2] = ["text/html", "application/xhtml+xml"];

const MAX_REDIRECTS: usize = 3;

/// Longer pages are truncated.
const MAX_PAGE_BYTES: usize = 512 * 1024;

#[async_trait]
impl PageFetcher for PublicHttp {
    async fn fetch_page(&self, url: &str) -> Result<FetchedPage, FetchError> {
        let read = tokio::time::timeout(REQUEST_TIMEOUT, self.read(url)).await;
        read.unwrap_or_else(|_| Err(FetchError::Transient("the request timed out".to_owned())))
    }
}

impl PublicHttp {
    async fn read(&self, url: &str) -> Result<FetchedPage, FetchError> {
        let mut url = Url::parse(url).map_err(|error| FetchError::Permanent(error.to_string()))?;
        for _ in 0..=MAX_REDIRECTS {
            self.check(&url)?;
            let request = self.client.get(url.clone()).header(ACCEPT, PAGE_TYPES.join(", "));
            let response = request.send().await.map_err(fetch_error)?;
            match redirect_target(&response, &url)? {
                Some(next) => url = next,
                None => return Ok(FetchedPage { url: url.into(), html: html(response).await? }),
            }
        }
        Err(FetchError::Permanent("too many redirects".to_owned()))
    }
}

/// The target of a redirect.
fn redirect_target(response: &Response, url: &Url) -> Result<Option<Url>, FetchError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION).and_then(|location| str::from_utf8(location.as_bytes()).ok());
    let next = location.and_then(|location| url.join(location).ok());
    next.map(Some).ok_or_else(|| FetchError::Permanent("the redirect has no valid location".to_owned()))
}

/// The HTML of the response.
async fn html(mut response: Response) -> Result<String, FetchError> {
    let status = response.status();
    if !status.is_success() {
        let message = format!("the server responded with {status}");
        // Request Timeout, Too Early and Too Many Requests are client errors that go away.
        let permanent = status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429);
        return Err(if permanent { FetchError::Permanent(message) } else { FetchError::Transient(message) });
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !PAGE_TYPES.iter().any(|page| page.eq_ignore_ascii_case(media_type)) {
        return Err(FetchError::Permanent(format!("{media_type:?} is not an HTML page")));
    }
    let mut body = Vec::new();
    while body.len() < MAX_PAGE_BYTES
        && let Some(chunk) = response.chunk().await.map_err(fetch_error)?
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(MAX_PAGE_BYTES);
    Ok(String::from_utf8_lossy(&body).into_owned())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::{
        super::testing::{is_permanent, moved, page, response, serve},
        *,
    };

    #[tokio::test]
    async fn fetches_a_page() {
        let host = serve(|_| page("<p>Grüße</p>")).await;
        let url = format!("http://{host}/page?a=b");
        let page = PublicHttp::loopback().fetch_page(&url).await.unwrap();
        assert_eq!(page, FetchedPage { url, html: "<p>Grüße</p>".to_owned() });
        let named_url = format!("http://localhost:{}/", host.port());
        assert_eq!(PublicHttp::loopback().fetch_page(&named_url).await.unwrap().html, "<p>Grüße</p>");
    }

    #[tokio::test]
    async fn follows_a_few_redirects() {
        let host = serve(|path| match path {
            "/1" => moved("/2"),
            "/2" => moved("3?x"),
            "/3?x" => page("there"),
            _ => moved("/again"),
        })
        .await;
        let page = PublicHttp::loopback().fetch_page(&format!("http://{host}/1")).await.unwrap();
        assert_eq!(page, FetchedPage { url: format!("http://{host}/3?x"), html: "there".to_owned() });
        assert!(is_permanent(&PublicHttp::loopback().fetch_page(&format!("http://{host}/again")).await));
    }

    #[tokio::test]
    async fn does_not_follow_redirects_to_forbidden_urls() {
        let host = serve(|path| moved(path.trim_start_matches('/'))).await;
        for to in [
            "http://10.0.0.1/",
            "http://169.254.169.254/latest/meta-data/",
            "http://[fd00::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://user@127.0.0.1/",
            "file:///etc/passwd",
            "ftp://127.0.0.1/",
            "http://",
            "",
        ] {
            let read = PublicHttp::loopback().fetch_page(&format!("http://{host}/{to}")).await;
            assert!(is_permanent(&read), "{to}: {read:?}");
        }
    }

    #[tokio::test]
    async fn truncates_a_long_page() {
        let host = serve(|_| page(&"x".repeat(4 * MAX_PAGE_BYTES))).await;
        let page = PublicHttp::loopback().fetch_page(&format!("http://{host}/")).await.unwrap();
        assert_eq!(page.html.len(), MAX_PAGE_BYTES);
    }

    #[tokio::test]
    async fn fetches_html_only() {
        let host = serve(|path| match path {
            "/json" => response("200 OK", "content-type: application/json", "{}"),
            "/similar-type" => response("200 OK", "content-type: text/htmlx", "<p>"),
            "/untyped" => response("200 OK", "content-length: 3", "<p>"),
            "/missing" => response("404 Not Found", "content-type: text/html", "<p>"),
            "/no-location" => response("301 Moved Permanently", "content-length: 0", ""),
            "/busy" => response("429 Too Many Requests", "content-type: text/html", "<p>"),
            "/unavailable" => response("503 Service Unavailable", "content-type: text/html", "<p>"),
            _ => response("200 OK", "Content-Type: Application/XHTML+XML;charset=utf-8", "<p/>"),
        })
        .await;
        let web = PublicHttp::loopback();
        for path in ["json", "similar-type", "untyped", "missing", "no-location"] {
            assert!(is_permanent(&web.fetch_page(&format!("http://{host}/{path}")).await), "{path}");
        }
        for path in ["busy", "unavailable"] {
            let read = web.fetch_page(&format!("http://{host}/{path}")).await;
            assert!(matches!(read, Err(FetchError::Transient(_))), "{path}");
        }
        assert_eq!(web.fetch_page(&format!("http://{host}/xhtml")).await.unwrap().html, "<p/>");
    }

    #[tokio::test]
    async fn an_unreachable_host_is_a_transient_failure() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let read = PublicHttp::loopback().fetch_page(&format!("http://{gone}/")).await;
        assert!(matches!(read, Err(FetchError::Transient(_))), "{read:?}");
    }
}
