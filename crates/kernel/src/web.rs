//! The Web: pages that others serve, and the port through which they are read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use async_trait::async_trait;

/// A page that somebody serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where it is, after all that led on to it.
    pub url: String,
    /// The page, or its beginning where it is long.
    pub html: String,
}

/// Why a page was not read.
#[derive(Debug, thiserror::Error)]
pub enum Unreached {
    /// It may be read later.
    #[error("{0}")]
    ForNow(String),
    /// It never will be: there is no such page, for instance, or it is not for the public.
    #[error("{0}")]
    ForGood(String),
}

/// Reads what the public can read.
#[async_trait]
pub trait Web: Send + Sync + 'static {
    /// Reads an HTML page of the public Internet. The address may come from anybody: what is within the
    /// host's own networks is not reached by it, nor by where it leads on to.
    async fn page(&self, url: &str) -> Result<Page, Unreached>;
}

/// Sends to what the public can reach.
#[async_trait]
pub trait Post: Send + Sync + 'static {
    /// Sends a body of JSON to an address of the public Internet and gives the status of the answer, whatever it
    /// is. What is within the host's own networks is not reached, and nothing is followed that the answer leads
    /// on to.
    async fn post(&self, url: &str, headers: &[(&'static str, String)], body: &str) -> Result<u16, Unreached>;

    /// Why nothing is ever sent there; none where it may be tried.
    fn refuses(&self, url: &str) -> Option<String>;
}

/// The networks of IPv4 that are not for the public, or not for single hosts (IANA's registry of special
/// purposes, RFC 6890).
const SPECIAL_V4: [(Ipv4Addr, u32); 15] = [
    // This network, and private ones.
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Shared behind a carrier's translator, the host itself, and the link, where clouds tell secrets.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // Protocols, and relays to IPv6 that are no more.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    // Benchmarks and documentation.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Many at once; reserved ones, the last of which is all at once.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The only part of IPv6 out of which public addresses are given: loopback, link-local, unique-local,
/// site-local, multicast, discarded, IPv4-compatible and translated (NAT64) addresses lie outside of it.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The networks within it that are not for the public.
const SPECIAL_V6: [(Ipv6Addr, u32); 4] = [
    // Protocols: Teredo, which hides an IPv4 address, benchmarks, identifiers that are no addresses.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    // 6to4, which hides an IPv4 address, and whose relays are no more.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
];

/// Is it the address of a host on the public Internet? Not if it is, or hides, one of the host itself,
/// of its networks, or of no single host.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        // Systems take a mapped address for the one that it maps.
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |&(network, length): &(Ipv4Addr, u32)| {
        let mask = u32::MAX << (u32::BITS - length);
        address.to_bits() & mask == network.to_bits()
    };
    !SPECIAL_V4.iter().any(within)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let within = |&(network, length): &(Ipv6Addr, u32)| {
        let mask = u128::MAX << (u128::BITS - length);
        address.to_bits() & mask == network.to_bits()
    };
    within(&GLOBAL_V6) && !SPECIAL_V6.iter().any(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(address: &str) -> bool {
        is_public(address.parse().unwrap())
    }

    #[test]
    fn hosts_of_the_internet_are_public() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "93.184.215.14",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450:4001:80b::200e",
            "::ffff:8.8.8.8",
        ] {
            assert!(public(address), "{address}");
        }
    }

    #[test]
    fn special_networks_are_not_public_from_their_first_address_to_their_last() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "239.255.255.255"),
            ("240.0.0.0", "255.255.255.255"),
            ("::", "::1"),
            ("64:ff9b::", "64:ff9b::ffff:ffff"),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
            ("100::", "100::ffff:ffff:ffff:ffff"),
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            assert!(!public(first), "{first}");
            assert!(!public(last), "{last}");
        }
    }

    #[test]
    fn their_neighbours_are_public() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::",
            "2001:200::",
            "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db9::",
            "2003::",
            "3fff:1000::",
        ] {
            assert!(public(address), "{address}");
        }
    }

    #[test]
    fn no_disguise_makes_an_address_public() {
        for inside in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "0.0.0.0", "255.255.255.255"] {
            let [a, b, c, d] = inside.parse::<Ipv4Addr>().unwrap().octets().map(u16::from);
            let (high, low) = (a * 256 + b, c * 256 + d);
            for disguise in [
                format!("::ffff:{inside}"),
                format!("::{inside}"),
                format!("64:ff9b::{inside}"),
                format!("64:ff9b:1::{inside}"),
                format!("2002:{high:x}:{low:x}::1"),
                format!("2001:0:4136:e378:8000:63bf:{:x}:{:x}", !high, !low),
                format!("::ffff:0:{inside}"),
            ] {
                assert!(!public(&disguise), "{disguise}");
            }
        }
    }
}
