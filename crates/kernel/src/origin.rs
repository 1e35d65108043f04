//! Where a request comes from: what throttles count by and the audit log notes.

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

/// How much is kept of what a client says it is, in characters.
const LONGEST_AGENT: usize = 256;

tokio::task_local! {
    static ORIGIN: Arc<Origin>;
}

/// Where a request comes from. It is known for as long as the request is worked on, like the span
/// of its log; outside of one it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The network address of the client.
    pub ip: Option<IpAddr>,
    /// What the client says it is.
    pub user_agent: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
}

impl Origin {
    /// The origin of the request that is being worked on.
    pub fn current() -> Arc<Self> {
        ORIGIN.try_with(Arc::clone).unwrap_or_default()
    }

    /// Works on a request that comes from here.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        ORIGIN.scope(Arc::new(self), work).await
    }

    /// The network that the client is in: a /24 of IPv4, a /64 of IPv6, which is what one
    /// subscriber is given. All who have no address share one.
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

/// The proxies whose word about a client's address is taken.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// Why a text is no network.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no network like 10.0.0.0/8")]
pub struct InvalidNetwork(String);

impl TrustedProxies {
    /// Reads networks, or single addresses.
    pub fn parse(networks: &[String]) -> Result<Self, InvalidNetwork> {
        let parse = |text: &String| {
            let network = IpNet::from_str(text).or_else(|_| IpAddr::from_str(text).map(IpNet::from));
            network.map_err(|_| InvalidNetwork(text.clone()))
        };
        networks.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Is it the address of a proxy whose word is taken?
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Where a request comes from.
    pub fn origin<B>(&self, request: &Request<B>, request_id: Option<String>) -> Origin {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let agent = request.headers().get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
        Origin {
            ip: peer.map(|peer| self.client(peer.to_canonical(), request.headers())),
            user_agent: agent.map(|agent| agent.chars().take(LONGEST_AGENT).collect()),
            request_id,
        }
    }

    /// The address of the client: the peer, or where that is a proxy of ours, whom it names. The list
    /// is read from its end, since a client can write anything at its beginning.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines = headers.get_all("x-forwarded-for").iter();
        // What is no text is a word that is not understood, and not one that was not said.
        let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        let named: Vec<&str> = lines.iter().flat_map(|line| line.split(',')).map(str::trim).collect();
        let mut client = peer;
        for address in named.into_iter().rev() {
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
    fn a_forwarded_address_counts_only_from_a_proxy_of_ours() {
        assert_eq!(client(&[], "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.2", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.2", &[]), "10.0.0.2");
        assert_eq!(client(&["::1"], "::1", &["[2001:db8::1]:443"]), "2001:db8::1");
    }

    #[test]
    fn what_the_client_wrote_itself_is_not_believed() {
        let lies = ["1.1.1.1, 2.2.2.2", "198.51.100.1, 10.0.0.3"];
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.2", &lies), "198.51.100.1");
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
    async fn the_origin_is_known_within_its_scope_only() {
        let here = Origin { request_id: Some("abc".into()), ..Origin::default() };
        assert_eq!(*here.clone().scope(async { Origin::current() }).await, here);
        assert_eq!(*Origin::current(), Origin::default());
    }
}
