use std::{
    error::Error,
    iter::successors,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use async_trait::async_trait;
use guildhall_kernel::http::{FetchError, FetchedPage, PageFetcher, WebhookSender};
use reqwest::{
    Client, ClientBuilder, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, CONTENT_TYPE, LOCATION},
    redirect::Policy,
};

use crate::address::is_public;

const USER_AGENT: &str = concat!("Guildhall/", env!("CARGO_PKG_VERSION"));

/// Content types accepted as a page.
const PAGE_TYPES: [&str; 2] = ["text/html", "application/xhtml+xml"];

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For the whole request, including redirects.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

const MAX_REDIRECTS: usize = 3;

/// Longer pages are truncated.
const MAX_PAGE_BYTES: usize = 512 * 1024;

/// Decides which addresses may be connected to.
type Allowed = fn(IpAddr) -> bool;

/// An HTTP client for the public internet that never reaches private networks.
///
/// Addresses are checked in the DNS resolver that the connection uses, so DNS rebinding cannot bypass the check.
pub struct PublicHttp {
    client: Client,
    allowed: Allowed,
    any_port: bool,
}

/// The HTTP client cannot be created.
#[derive(Debug, thiserror::Error)]
#[error("cannot create the HTTP client: {0}")]
pub struct HttpUnavailable(String);

impl PublicHttp {
    /// Creates a client, to be shared. Fails if the system has no root certificates.
    pub fn new() -> Result<Self, HttpUnavailable> {
        let client = client(is_public).build().map_err(|error| HttpUnavailable(message_of(&error)))?;
        Ok(Self { client, allowed: is_public, any_port: false })
    }

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

    /// Checks the URL. A host given by name is checked later, when it is resolved.
    fn check(&self, url: &Url) -> Result<(), FetchError> {
        let refused = |why: &str| Err(FetchError::Permanent(why.to_owned()));
        if !matches!(url.scheme(), "http" | "https") {
            return refused("only http and https URLs are allowed");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("URLs with credentials are not allowed");
        }
        if !self.any_port && !matches!(url.port_or_known_default(), Some(80 | 443)) {
            return refused("only ports 80 and 443 are allowed");
        }
        // The URL parser has normalized the address: `0x7f.1` is `127.0.0.1`.
        let address = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        match address {
            Some(address) if !(self.allowed)(address) => refused(&NotPublic.to_string()),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl PageFetcher for PublicHttp {
    async fn fetch_page(&self, url: &str) -> Result<FetchedPage, FetchError> {
        let read = tokio::time::timeout(REQUEST_TIMEOUT, self.read(url)).await;
        read.unwrap_or_else(|_| Err(FetchError::Transient("the request timed out".to_owned())))
    }
}

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

/// A client without redirects, connection reuse, `Referer` and proxy.
fn client(allowed: Allowed) -> ClientBuilder {
    // Fails if a provider is already installed, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(USER_AGENT)
        .dns_resolver(Resolver { allowed })
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(0)
}

/// A DNS resolver that returns allowed addresses only.
struct Resolver {
    allowed: Allowed,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(look_up(name, self.allowed))
    }
}

async fn look_up(name: Name, allowed: Allowed) -> Result<Addrs, Box<dyn Error + Send + Sync>> {
    // The client takes the port from the URL.
    let all = tokio::net::lookup_host((name.as_str(), 0)).await?;
    let addresses: Vec<SocketAddr> = all.filter(|address| allowed(address.ip())).collect();
    if addresses.is_empty() {
        return Err(NotPublic.into());
    }
    Ok(Box::new(addresses.into_iter()))
}

/// The host has no public address.
#[derive(Debug, thiserror::Error)]
#[error("the host is not on the public internet")]
struct NotPublic;

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

fn fetch_error(error: reqwest::Error) -> FetchError {
    // The caller knows the URL.
    let error = error.without_url();
    if causes(&error).any(<dyn std::error::Error>::is::<NotPublic>) {
        return FetchError::Permanent(NotPublic.to_string());
    }
    FetchError::Transient(message_of(&error))
}

/// The messages of an error and its causes.
fn message_of(error: &(dyn Error + 'static)) -> String {
    let mut message = String::new();
    for cause in causes(error) {
        let text = cause.to_string();
        if !message.contains(&text) {
            let colon = if message.is_empty() { "" } else { ": " };
            message = format!("{message}{colon}{text}");
        }
    }
    message
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    successors(Some(error), |&cause| cause.source())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::TcpListener,
    };

    use super::*;

    impl PublicHttp {
        /// A client that needs no certificates.
        fn with(allowed: Allowed, any_port: bool) -> Self {
            let client = client(allowed).tls_certs_only([]).build().unwrap();
            Self { client, allowed, any_port }
        }

        /// A client that reaches this host only, on any port.
        fn loopback() -> Self {
            Self::with(|address| address.is_loopback(), true)
        }
    }

    /// Starts a server that responds by path.
    async fn serve(respond: fn(&str) -> String) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = BufReader::new(stream);
                let mut request = String::new();
                stream.read_line(&mut request).await.unwrap();
                let mut header = String::new();
                while stream.read_line(&mut header).await.unwrap() > "\r\n".len() {
                    header.clear();
                }
                let path = request.split(' ').nth(1).unwrap_or_default();
                // The client hangs up once it has read enough.
                let _ = stream.write_all(respond(path).as_bytes()).await;
            }
        });
        address
    }

    fn response(status: &str, headers: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n\r\n{body}")
    }

    fn page(body: &str) -> String {
        response("200 OK", "content-type: text/html; charset=utf-8", body)
    }

    fn moved(to: &str) -> String {
        response("302 Found", &format!("content-length: 0\r\nlocation: {to}"), "")
    }

    fn is_permanent(read: &Result<FetchedPage, FetchError>) -> bool {
        matches!(read, Err(FetchError::Permanent(_)))
    }

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

    #[tokio::test]
    async fn does_not_connect_to_names_that_resolve_to_private_addresses() {
        let host = serve(|_| page("secret")).await;
        let web = PublicHttp::with(is_public, true);
        for name in ["localhost", "LOCALHOST"] {
            let read = web.fetch_page(&format!("http://{name}:{}/", host.port())).await;
            assert!(is_permanent(&read), "{name}: {read:?}");
        }
    }

    #[tokio::test]
    async fn no_spelling_of_a_private_address_is_connected_to() {
        let web = PublicHttp::with(is_public, false);
        for url in [
            "http://127.0.0.1/",
            "http://127.0.0.1./",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://%31%32%37.0.0.1/",
            "http://１２７.0.0.1/",
            "http:127.0.0.1/",
            "http:\\\\127.0.0.1\\",
            "http://0/",
            "http://[::]/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[::127.0.0.1]/",
            "http://localhost/",
            "https://localhost/",
            "http://169.254.169.254/",
            "http://10.0.0.1:80/",
            "https://192.168.0.1:443/",
        ] {
            let read = web.fetch_page(url).await;
            assert!(is_permanent(&read), "{url}: {read:?}");
        }
    }

    #[tokio::test]
    async fn fetches_only_plain_web_urls() {
        let web = PublicHttp::with(is_public, false);
        for url in [
            "",
            "example.org",
            "//example.org/",
            "http://",
            "ftp://example.org/",
            "file:///etc/passwd",
            "gopher://example.org/",
            "javascript:alert(1)",
            "data:text/html,x",
            "http://user@example.org/",
            "http://user:password@example.org/",
            "http://:password@example.org/",
            "http://example.org:22/",
            "http://example.org:8080/",
            "https://example.org:6379/",
        ] {
            let read = web.fetch_page(url).await;
            assert!(is_permanent(&read), "{url}: {read:?}");
        }
    }

    #[test]
    fn the_url_parser_normalizes_addresses() {
        for (url, host) in [
            ("http://2130706433/", "127.0.0.1"),
            ("http://0x7f.1/", "127.0.0.1"),
            ("http://0177.0.0.1/", "127.0.0.1"),
            ("http://127.0.0.1./", "127.0.0.1"),
            ("http://0/", "0.0.0.0"),
            ("http://[::ffff:127.0.0.1]/", "[::ffff:7f00:1]"),
        ] {
            assert_eq!(Url::parse(url).unwrap().host_str(), Some(host), "{url}");
        }
    }
}
