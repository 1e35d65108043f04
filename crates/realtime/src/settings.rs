use serde::{Deserialize, Serialize};

/// The settings of sockets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether sockets accept an access token in the query string, `?token=`.
    pub query_token: bool,
    /// Open sockets per user; another one replaces the oldest.
    pub sockets_per_user: usize,
    /// Streams per socket.
    pub streams_per_socket: usize,
    /// The largest frame that a client may send, in bytes.
    pub frame_bytes: usize,
    /// Frames that a client may send per second.
    pub frames_per_second: u32,
    /// The interval of pings, in seconds.
    pub heartbeat_seconds: u32,
    /// How long a client may be silent, in seconds.
    pub idle_seconds: u32,
    /// How long a client may take to send its credentials, in seconds.
    pub auth_seconds: u32,
    /// How long a client may take to read what was sent, in seconds.
    pub write_seconds: u32,
    /// Handshakes per address and minute; of IPv6, per /64 network.
    pub handshakes_per_minute: u32,
    /// How long events are kept for clients that resume, in days.
    pub keep_days: u32,
    /// How many events of a stream are kept for clients that resume.
    pub keep_events: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            query_token: true,
            sockets_per_user: 10,
            streams_per_socket: 100,
            frame_bytes: 128 * 1024,
            frames_per_second: 50,
            heartbeat_seconds: 25,
            idle_seconds: 60,
            auth_seconds: 5,
            write_seconds: 30,
            handshakes_per_minute: 600,
            keep_days: 30,
            keep_events: 10_000,
        }
    }
}
