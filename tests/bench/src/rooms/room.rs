//! A room, and how its participants connect.

use std::{fmt, net::SocketAddr};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// Guildhall.
    Guildhall,
    /// The Django peer.
    Peer,
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Guildhall { "server" } else { "peer" })
    }
}

/// A room, with the credentials of its participants.
pub(crate) struct Room {
    pub(crate) system: System,
    /// The gateways; sockets are distributed over them in turn.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) id: i64,
    /// The tokens of the participants; the first is the host's.
    pub(crate) tokens: Vec<String>,
}

/// A participant, who opens one socket.
#[derive(Clone)]
pub(crate) struct Participant {
    pub(crate) address: SocketAddr,
    system: System,
    room: i64,
    token: String,
}

impl Room {
    /// The first participants.
    pub(crate) fn participants(&self, count: u32) -> Vec<Participant> {
        let addresses = self.addresses.iter().cycle();
        let participants = self.tokens.iter().zip(addresses).take(count as usize);
        let participant = |(token, address): (&String, &SocketAddr)| Participant {
            address: *address,
            system: self.system,
            room: self.id,
            token: token.clone(),
        };
        participants.map(participant).collect()
    }
}

impl Participant {
    /// The request for the upgrade. Guildhall replays what follows `after`; the peer cannot.
    pub(crate) fn handshake(&self, after: Option<i64>) -> String {
        let Self { address, room, token, .. } = self;
        let (query, header) = match self.system {
            System::Guildhall => {
                let query = after.map_or_else(String::new, |seq| format!("?after={seq}"));
                (query, format!("Authorization: Token {token}\r\n"))
            }
            System::Peer => (format!("?token={token}"), String::new()),
        };
        format!(
            "GET /ws/chat/{room}/{query} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             {header}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    }
}
