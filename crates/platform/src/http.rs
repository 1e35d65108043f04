//! The HTTP client for URLs that users choose.

mod pages;
mod resolver;
#[cfg(test)]
mod testing;
mod webhooks;

use std::{error::Error, net::IpAddr, time::Duration};

use guildhall_kernel::http::FetchError;
use reqwest::{Client, ClientBuilder, Url, redirect::Policy};

use self::resolver::{Allowed, NotPublic, Resolver};
use crate::{
    address::is_public,
    error::{causes, message_of},
};

const USER_AGENT: &str = concat!("Guildhall/", env!("CARGO_PKG_VERSION"));

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For the whole request, including redirects.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

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

fn fetch_error(error: reqwest::Error) -> FetchError {
    // The caller knows the URL.
    let error = error.without_url();
    if causes(&error).any(<dyn Error>::is::<NotPublic>) {
        return FetchError::Permanent(NotPublic.to_string());
    }
    FetchError::Transient(message_of(&error))
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::http::PageFetcher;

    use super::{
        testing::{is_permanent, page, serve},
        *,
    };

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
