//! The origin of a request, for throttles and the audit log.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, Request},
    http::{HeaderMap, header},
};
use ipnet::IpNet;

/// The longest user agent that is stored, in characters.
const MAX_USER_AGENT: usize = 256;

tokio::task_local! {
    static ORIGIN: Arc<Origin>;
}

/// The origin of a request. It is task-local while the request is handled; outside of a request it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The IP address of the client.
    pub ip: Option<IpAddr>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
}

impl Origin {
    /// The origin of the current request.
    pub fn current() -> Arc<Self> {
        ORIGIN.try_with(Arc::clone).unwrap_or_default()
    }

    /// Runs a future with this origin as the current one.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        ORIGIN.scope(Arc::new(self), future).await
    }

    /// The client's network: a /24 for IPv4, a /64 for IPv6, which is what one subscriber usually gets.
    /// Clients without an address share one.
    pub fn network(&self) -> String {
        match self.ip {
            Some(ip) => {
                let length = if ip.is_ipv4() { 24 } else { 64 };
                IpNet::new(ip, length).map_or_else(|_| ip.to_string(), |network| network.trunc().to_string())
            }
            None => "nowhere".to_owned(),
        }
    }
}

/// The proxies whose `X-Forwarded-For` header is trusted.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// A string that is not a valid network.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a network like 10.0.0.0/8")]
pub struct InvalidNetwork(String);

impl TrustedProxies {
    /// Parses networks or single addresses.
    pub fn parse(networks: &[String]) -> Result<Self, InvalidNetwork> {
        let parse = |text: &String| {
            let network = IpNet::from_str(text).or_else(|_| IpAddr::from_str(text).map(IpNet::from));
            network.map_err(|_| InvalidNetwork(text.clone()))
        };
        networks.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the address belongs to a trusted proxy.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The origin of a request.
    pub fn origin<B>(&self, request: &Request<B>, request_id: Option<String>) -> Origin {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let user_agent =
            request.headers().get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
        Origin {
            ip: peer.map(|peer| self.client(peer.to_canonical(), request.headers())),
            user_agent: user_agent.map(|text| text.chars().take(MAX_USER_AGENT).collect()),
            request_id,
        }
    }

    /// The address of the client: the peer, or the address that a trusted proxy forwards. The list is read from
    /// its end, since the client controls its beginning.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines = headers.get_all("x-forwarded-for").iter();
        // A line that is not UTF-8 must stop the walk like any invalid address, not be skipped.
        let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        let addresses: Vec<&str> = lines.iter().flat_map(|line| line.split(',')).map(str::trim).collect();
        let mut client = peer;
        for address in addresses.into_iter().rev() {
            if !self.0.iter().any(|network| network.contains(&client)) {
                break;
            }
            match parse_address(address) {
                Some(next) => client = next,
                None => break,
            }
        }
        client
    }
}

/// An address, with or without a port.
fn parse_address(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    let address = address.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let networks: Vec<String> = trusted.iter().map(|network| (*network).to_owned()).collect();
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
        }
        TrustedProxies::parse(&networks).unwrap().client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_forwarded_address_counts_only_from_a_trusted_proxy() {
        assert_eq!(client(&[], "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.2", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.2", &[]), "10.0.0.2");
        assert_eq!(client(&["::1"], "::1", &["[2001:db8::1]:443"]), "2001:db8::1");
    }

    #[test]
    fn addresses_that_the_client_sent_itself_are_ignored() {
        let forged = ["1.1.1.1, 2.2.2.2", "198.51.100.1, 10.0.0.3"];
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.2", &forged), "198.51.100.1");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.2", &["nonsense"]), "10.0.0.2");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.2", &["1.1.1.1, é"]), "10.0.0.2");
    }

    #[test]
    fn neighbours_share_a_network() {
        let network = |ip: &str| Origin { ip: ip.parse().ok(), ..Origin::default() }.network();
        assert_eq!(network("203.0.113.9"), network("203.0.113.200"));
        assert_ne!(network("203.0.113.9"), network("203.0.114.9"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    }

    #[tokio::test]
    async fn the_origin_is_known_only_within_its_scope() {
        let here = Origin { request_id: Some("abc".into()), ..Origin::default() };
        assert_eq!(*here.clone().scope(async { Origin::current() }).await, here);
        assert_eq!(*Origin::current(), Origin::default());
    }
}
