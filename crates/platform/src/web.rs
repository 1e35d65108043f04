use std::{
    error::Error,
    iter::successors,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use async_trait::async_trait;
use guildhall_kernel::web::{Page, Post, Unreached, Web, is_public};
use reqwest::{
    Client, ClientBuilder, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, CONTENT_TYPE, LOCATION},
    redirect::Policy,
};

const AGENT: &str = concat!("Guildhall/", env!("CARGO_PKG_VERSION"));

/// What is taken for a page.
const KINDS: [&str; 2] = ["text/html", "application/xhtml+xml"];

/// How long a host may take until it is there, and all hosts together until the page is.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a page may lead on to another.
const MOST_REDIRECTS: usize = 3;

/// How much of a page is read, in bytes.
const LONGEST: usize = 512 * 1024;

/// Which addresses are connected to.
type Allowed = fn(IpAddr) -> bool;

/// Reads pages of the public Internet, and of no network within.
///
/// The address that a name has is judged where it is connected to, so that a name cannot have one address
/// while it is looked at and another one after.
pub struct PublicWeb {
    client: Client,
    allowed: Allowed,
    any_port: bool,
}

/// Why no page can be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read pages: {0}")]
pub struct WebUnavailable(String);

impl PublicWeb {
    /// Made once and shared. It fails where the system has no certificates by which to know a host.
    pub fn new() -> Result<Self, WebUnavailable> {
        let client = client(is_public).build().map_err(|error| WebUnavailable(told(&error)))?;
        Ok(Self { client, allowed: is_public, any_port: false })
    }

    async fn read(&self, url: &str) -> Result<Page, Unreached> {
        let mut url = Url::parse(url).map_err(|error| Unreached::ForGood(error.to_string()))?;
        for _ in 0..=MOST_REDIRECTS {
            self.check(&url)?;
            let request = self.client.get(url.clone()).header(ACCEPT, KINDS.join(", "));
            let response = request.send().await.map_err(unreached)?;
            match onward(&response, &url)? {
                Some(next) => url = next,
                None => return Ok(Page { url: url.into(), html: html(response).await? }),
            }
        }
        Err(Unreached::ForGood("it leads on and on".to_owned()))
    }

    /// May it be asked for? Whether the host is public is seen here only where it has no name.
    fn check(&self, url: &Url) -> Result<(), Unreached> {
        let refused = |why: &str| Err(Unreached::ForGood(why.to_owned()));
        if !matches!(url.scheme(), "http" | "https") {
            return refused("only the Web is read");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("only what is for everybody is read");
        }
        if !self.any_port && !matches!(url.port_or_known_default(), Some(80 | 443)) {
            return refused("only the ports of the Web are asked");
        }
        // All spellings of an address have become one by now: `0x7f.1` is `127.0.0.1`.
        let address = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        match address {
            Some(address) if !(self.allowed)(address) => refused(&NotPublic.to_string()),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Web for PublicWeb {
    async fn page(&self, url: &str) -> Result<Page, Unreached> {
        let read = tokio::time::timeout(PATIENCE, self.read(url)).await;
        read.unwrap_or_else(|_| Err(Unreached::ForNow("it takes too long".to_owned())))
    }
}

#[async_trait]
impl Post for PublicWeb {
    async fn post(&self, url: &str, headers: &[(&'static str, String)], body: &str) -> Result<u16, Unreached> {
        let url = Url::parse(url).map_err(|error| Unreached::ForGood(error.to_string()))?;
        self.check(&url)?;
        let request = self.client.post(url).header(CONTENT_TYPE, "application/json").timeout(PATIENCE);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let response = request.body(body.to_owned()).send().await.map_err(unreached)?;
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

/// A client that does nothing on its own account: it follows nothing, keeps nothing and tells nothing.
fn client(allowed: Allowed) -> ClientBuilder {
    // Where one is installed already, that one does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(AGENT)
        .dns_resolver(Names { allowed })
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_PATIENCE)
        .pool_max_idle_per_host(0)
}

/// Looks names up, and keeps those of their addresses to itself that are not connected to.
struct Names {
    allowed: Allowed,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(look_up(name, self.allowed))
    }
}

async fn look_up(name: Name, allowed: Allowed) -> Result<Addrs, Box<dyn Error + Send + Sync>> {
    // The port is that of the address that is asked for.
    let all = tokio::net::lookup_host((name.as_str(), 0)).await?;
    let addresses: Vec<SocketAddr> = all.filter(|address| allowed(address.ip())).collect();
    if addresses.is_empty() {
        return Err(NotPublic.into());
    }
    Ok(Box::new(addresses.into_iter()))
}

/// The host is none of the public Internet.
#[derive(Debug, thiserror::Error)]
#[error("the host is not of the public Internet")]
struct NotPublic;

/// Where an answer leads on to.
fn onward(response: &Response, url: &Url) -> Result<Option<Url>, Unreached> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION).and_then(|location| str::from_utf8(location.as_bytes()).ok());
    let next = location.and_then(|location| url.join(location).ok());
    next.map(Some).ok_or_else(|| Unreached::ForGood("it leads nowhere".to_owned()))
}

/// The page that an answer holds.
async fn html(mut response: Response) -> Result<String, Unreached> {
    let status = response.status();
    if !status.is_success() {
        let told = format!("the answer is {status}");
        // Some say that a client is at fault who only is too early.
        let for_good = status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429);
        return Err(if for_good { Unreached::ForGood(told) } else { Unreached::ForNow(told) });
    }
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !KINDS.iter().any(|page| page.eq_ignore_ascii_case(kind)) {
        return Err(Unreached::ForGood(format!("{kind:?} is no page")));
    }
    let mut body = Vec::new();
    while body.len() < LONGEST
        && let Some(piece) = response.chunk().await.map_err(unreached)?
    {
        body.extend_from_slice(&piece);
    }
    body.truncate(LONGEST);
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn unreached(error: reqwest::Error) -> Unreached {
    // The address is the caller's, who knows it.
    let error = error.without_url();
    if causes(&error).any(<dyn std::error::Error>::is::<NotPublic>) {
        return Unreached::ForGood(NotPublic.to_string());
    }
    Unreached::ForNow(told(&error))
}

/// An error with what is behind it.
fn told(error: &(dyn Error + 'static)) -> String {
    let mut told = String::new();
    for cause in causes(error) {
        let text = cause.to_string();
        if !told.contains(&text) {
            let colon = if told.is_empty() { "" } else { ": " };
            told = format!("{told}{colon}{text}");
        }
    }
    told
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

    impl PublicWeb {
        /// One that reaches what a test says, at any port, and needs no certificates.
        fn with(allowed: Allowed, any_port: bool) -> Self {
            let client = client(allowed).tls_certs_only([]).build().unwrap();
            Self { client, allowed, any_port }
        }

        /// One that reads from this host alone.
        fn within() -> Self {
            Self::with(|address| address.is_loopback(), true)
        }
    }

    /// Answers whoever asks, by the path that is asked for.
    async fn serve(answer: fn(&str) -> String) -> SocketAddr {
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
                // Whoever has read enough hangs up.
                let _ = stream.write_all(answer(path).as_bytes()).await;
            }
        });
        address
    }

    fn answer(status: &str, headers: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n\r\n{body}")
    }

    fn page(body: &str) -> String {
        answer("200 OK", "content-type: text/html; charset=utf-8", body)
    }

    fn moved(to: &str) -> String {
        answer("302 Found", &format!("content-length: 0\r\nlocation: {to}"), "")
    }

    fn is_for_good(read: &Result<Page, Unreached>) -> bool {
        matches!(read, Err(Unreached::ForGood(_)))
    }

    #[tokio::test]
    async fn a_page_is_read() {
        let host = serve(|_| page("<p>Grüße</p>")).await;
        let url = format!("http://{host}/page?a=b");
        let page = PublicWeb::within().page(&url).await.unwrap();
        assert_eq!(page, Page { url, html: "<p>Grüße</p>".to_owned() });
        let by_name = format!("http://localhost:{}/", host.port());
        assert_eq!(PublicWeb::within().page(&by_name).await.unwrap().html, "<p>Grüße</p>");
    }

    #[tokio::test]
    async fn what_is_sent_arrives_once_and_is_led_nowhere() {
        let host = serve(|path| match path {
            "/moved" => moved("http://10.0.0.1/"),
            "/full" => answer("507 Insufficient Storage", "content-length: 0", ""),
            _ => answer("204 No Content", "content-length: 0", ""),
        })
        .await;
        let web = PublicWeb::within();
        let headers = [("webhook-id", "msg_1".to_owned())];
        for (path, status) in [("moved", 302), ("full", 507), ("hook", 204)] {
            let sent = web.post(&format!("http://{host}/{path}"), &headers, "{}").await;
            assert_eq!(sent.unwrap(), status, "{path}");
        }
        let outside = PublicWeb::with(is_public, true);
        for url in [format!("http://{host}/"), format!("http://localhost:{}/", host.port()), "ftp://x/".to_owned()] {
            assert!(matches!(outside.post(&url, &headers, "{}").await, Err(Unreached::ForGood(_))), "{url}");
        }
        let strict = PublicWeb::with(is_public, false);
        assert!(strict.refuses("http://192.168.0.1/hook").is_some() && strict.refuses("nonsense").is_some());
        assert_eq!(strict.refuses("https://example.org/hook"), None);
    }

    #[tokio::test]
    async fn a_page_that_leads_on_is_followed_a_few_times() {
        let host = serve(|path| match path {
            "/1" => moved("/2"),
            "/2" => moved("3?x"),
            "/3?x" => page("there"),
            _ => moved("/again"),
        })
        .await;
        let page = PublicWeb::within().page(&format!("http://{host}/1")).await.unwrap();
        assert_eq!(page, Page { url: format!("http://{host}/3?x"), html: "there".to_owned() });
        assert!(is_for_good(&PublicWeb::within().page(&format!("http://{host}/again")).await));
    }

    #[tokio::test]
    async fn a_page_does_not_lead_to_where_nobody_may_go() {
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
            let read = PublicWeb::within().page(&format!("http://{host}/{to}")).await;
            assert!(is_for_good(&read), "{to}: {read:?}");
        }
    }

    #[tokio::test]
    async fn of_a_huge_page_the_beginning_is_read() {
        let host = serve(|_| page(&"x".repeat(4 * LONGEST))).await;
        let page = PublicWeb::within().page(&format!("http://{host}/")).await.unwrap();
        assert_eq!(page.html.len(), LONGEST);
    }

    #[tokio::test]
    async fn only_pages_are_read() {
        let host = serve(|path| match path {
            "/json" => answer("200 OK", "content-type: application/json", "{}"),
            "/lie" => answer("200 OK", "content-type: text/htmlx", "<p>"),
            "/nothing" => answer("200 OK", "content-length: 3", "<p>"),
            "/missing" => answer("404 Not Found", "content-type: text/html", "<p>"),
            "/nowhere" => answer("301 Moved Permanently", "content-length: 0", ""),
            "/busy" => answer("429 Too Many Requests", "content-type: text/html", "<p>"),
            "/ill" => answer("503 Service Unavailable", "content-type: text/html", "<p>"),
            _ => answer("200 OK", "Content-Type: Application/XHTML+XML;charset=utf-8", "<p/>"),
        })
        .await;
        let web = PublicWeb::within();
        for path in ["json", "lie", "nothing", "missing", "nowhere"] {
            assert!(is_for_good(&web.page(&format!("http://{host}/{path}")).await), "{path}");
        }
        for path in ["busy", "ill"] {
            let read = web.page(&format!("http://{host}/{path}")).await;
            assert!(matches!(read, Err(Unreached::ForNow(_))), "{path}");
        }
        assert_eq!(web.page(&format!("http://{host}/xhtml")).await.unwrap().html, "<p/>");
    }

    #[tokio::test]
    async fn a_host_that_is_not_there_may_come_back() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let read = PublicWeb::within().page(&format!("http://{gone}/")).await;
        assert!(matches!(read, Err(Unreached::ForNow(_))), "{read:?}");
    }

    #[tokio::test]
    async fn a_name_that_points_within_is_not_followed() {
        let host = serve(|_| page("secret")).await;
        let web = PublicWeb::with(is_public, true);
        for name in ["localhost", "LOCALHOST"] {
            let read = web.page(&format!("http://{name}:{}/", host.port())).await;
            assert!(is_for_good(&read), "{name}: {read:?}");
        }
    }

    #[tokio::test]
    async fn no_spelling_of_an_address_reaches_this_host() {
        let web = PublicWeb::with(is_public, false);
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
            let read = web.page(url).await;
            assert!(is_for_good(&read), "{url}: {read:?}");
        }
    }

    #[tokio::test]
    async fn only_plain_addresses_of_the_web_are_asked() {
        let web = PublicWeb::with(is_public, false);
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
            let read = web.page(url).await;
            assert!(is_for_good(&read), "{url}: {read:?}");
        }
    }

    #[test]
    fn other_spellings_of_an_address_become_one() {
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
