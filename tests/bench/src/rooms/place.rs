//! Where sockets connect.

use std::{fmt, net::SocketAddr};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// Guildhall.
    Guildhall,
    /// The Django peer.
    Peer,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Guildhall { "server" } else { "peer" })
    }
}

/// A room, with the credentials of its participants.
pub(crate) struct Place {
    pub(crate) host: Host,
    /// The gateways; sockets are distributed over them in turn.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) room: i64,
    /// The tokens of the participants; the first is the host's.
    pub(crate) tokens: Vec<String>,
}

/// The place of one socket.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) address: SocketAddr,
    host: Host,
    room: i64,
    token: String,
}

impl Place {
    /// The places of the first participants.
    pub(crate) fn seats(&self, count: u32) -> Vec<Seat> {
        let addresses = self.addresses.iter().cycle();
        let seats = self.tokens.iter().zip(addresses).take(count as usize);
        let seat = |(token, address): (&String, &SocketAddr)| Seat {
            address: *address,
            host: self.host,
            room: self.room,
            token: token.clone(),
        };
        seats.map(seat).collect()
    }
}

impl Seat {
    /// The request for the upgrade. Guildhall replays what follows `after`; the peer cannot.
    pub(crate) fn handshake(&self, after: Option<i64>) -> String {
        let Self { address, room, token, .. } = self;
        let (query, header) = match self.host {
            Host::Guildhall => {
                let query = after.map_or_else(String::new, |seq| format!("?after={seq}"));
                (query, format!("Authorization: Token {token}\r\n"))
            }
            Host::Peer => (format!("?token={token}"), String::new()),
        };
        format!(
            "GET /ws/chat/{room}/{query} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             {header}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    }
}
