//! The limits on open connections.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use guildhall_kernel::{Origin, TrustedProxies};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Warning;

/// File descriptors reserved for other uses than connections.
const RESERVED_FILES: u64 = 128;

/// Limits the number of open connections.
#[derive(Clone)]
pub(crate) struct Limits(Arc<Shared>);

struct Shared {
    all: usize,
    per_network: usize,
    proxies: TrustedProxies,
    open: Mutex<Open>,
    rejected: Warning,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_network: HashMap<String, usize>,
}

/// An open connection's share of the limits, released on drop.
pub(crate) struct ConnectionPermit {
    limits: Limits,
    network: Option<String>,
}

impl Limits {
    /// Limits the connections in total and per network. Trusted proxies count toward the total only.
    pub(crate) fn new(all: usize, per_network: usize, proxies: TrustedProxies) -> Self {
        let rejected = Warning::new("connections rejected because there are too many");
        Self(Arc::new(Shared { all, per_network, proxies, open: Mutex::default(), rejected }))
    }

    /// Takes a permit for a connection from an address; `None` if a limit is reached.
    pub(crate) fn acquire(&self, peer: IpAddr) -> Option<ConnectionPermit> {
        let shared = &*self.0;
        let peer = peer.to_canonical();
        let network =
            (!shared.proxies.contains(peer)).then(|| Origin { ip: Some(peer), ..Origin::default() }.network());
        let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_network = network.as_ref().and_then(|network| open.by_network.get(network)).copied().unwrap_or_default();
        if open.all >= shared.all || of_network >= shared.per_network {
            drop(open);
            shared.rejected.record();
            return None;
        }
        open.all += 1;
        if let Some(network) = &network {
            open.by_network.insert(network.clone(), of_network + 1);
        }
        drop(open);
        Some(ConnectionPermit { limits: self.clone(), network })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.limits.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        let Some(network) = &self.network else { return };
        if let Some(count) = open.by_network.get_mut(network) {
            *count -= 1;
            if *count == 0 {
                open.by_network.remove(network);
            }
        }
    }
}

/// Raises the limit of open files as far as the system allows. Returns how many connections that leaves room for.
pub(crate) fn raise_file_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // On failure the current limit applies.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let files = if raised.is_ok() { limit.maximum } else { limit.current };
    let connections = files.map_or(u64::MAX, |files| files.saturating_sub(RESERVED_FILES).max(16));
    usize::try_from(connections).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_7_connections_are_limited_in_total_and_per_network() {
        let proxies = TrustedProxies::parse(&["10.0.0.0/8".to_owned()]).unwrap();
        let limits = Limits::new(6, 2, proxies);
        let acquire = |ip: &str| limits.acquire(ip.parse().unwrap());
        let held = [acquire("203.0.113.1"), acquire("203.0.113.2")];
        assert!(held.iter().all(Option::is_some));
        assert!(acquire("203.0.113.3").is_none(), "one network");
        assert!(acquire("::ffff:203.0.113.3").is_none(), "also as an IPv4-mapped address");
        let other: Vec<_> = ["198.51.100.1", "10.0.0.1", "10.0.0.1", "10.0.0.1"].map(acquire).into();
        assert!(other.iter().all(Option::is_some), "proxies have no limit per network");
        assert!(acquire("192.0.2.1").is_none(), "too many in total");
        drop(held);
        assert!(acquire("203.0.113.3").is_some());
        drop(other);
        let open = limits.0.open.lock().unwrap();
        assert!(open.all == 0 && open.by_network.is_empty());
    }
}
