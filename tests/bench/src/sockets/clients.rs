//! Clients that count frames.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// How long frames may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Clients whose sockets are closed when this is dropped.
pub(super) struct Clients {
    readers: JoinSet<()>,
    received: Arc<AtomicU64>,
}

impl Clients {
    pub(super) fn new() -> Self {
        Self { readers: JoinSet::new(), received: Arc::default() }
    }

    /// Opens a socket, and counts its frames from now on. `headers` are further headers of the handshake.
    pub(super) async fn open(&mut self, address: SocketAddr, headers: &str) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!(
            "GET /ws/notifications/ HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             {headers}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        ensure!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        let received = self.received.clone();
        self.readers.spawn(async move { count(stream, &received).await });
        Ok(())
    }

    /// Waits until so many frames have arrived in total.
    pub(super) async fn wait_for(&self, expected: u64) -> anyhow::Result<()> {
        let started = Instant::now();
        while self.received.load(Ordering::Relaxed) < expected {
            let received = self.received.load(Ordering::Relaxed);
            ensure!(started.elapsed() < TIMEOUT, "{received} of {expected} frames have arrived");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

/// Counts the frames that arrive, until the connection ends.
async fn count(mut stream: TcpStream, received: &AtomicU64) {
    let (mut buffer, mut filled) = (vec![0_u8; 32 * 1024], 0);
    loop {
        let Some(free) = buffer.get_mut(filled..) else { return };
        let Ok(read @ 1..) = stream.read(free).await else { return };
        filled += read;
        let (frames, used) = count_frames(buffer.get(..filled).unwrap_or_default());
        received.fetch_add(frames, Ordering::Relaxed);
        buffer.copy_within(used..filled, 0);
        filled -= used;
    }
}

/// The complete frames of a server at the start of a buffer, and their length (RFC 6455 §5.2).
fn count_frames(bytes: &[u8]) -> (u64, usize) {
    let (mut frames, mut at) = (0, 0);
    loop {
        let length = match bytes.get(at + 1) {
            Some(short @ 0..=125) => usize::from(*short) + 2,
            Some(126) => match bytes.get(at + 2..at + 4) {
                Some([high, low]) => usize::from(u16::from_be_bytes([*high, *low])) + 4,
                _ => return (frames, at),
            },
            _ => return (frames, at),
        };
        if at + length > bytes.len() {
            return (frames, at);
        }
        frames += 1;
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_frames_are_counted() {
        let short = [0x81, 2, b'o', b'k'];
        let long: Vec<u8> = [0x81, 126, 0, 130].into_iter().chain([b'x'; 130]).collect();
        let bytes = [&short[..], &long, &short[..3]].concat();
        assert_eq!(count_frames(&bytes), (2, short.len() + long.len()));
        assert_eq!(count_frames(&long[..100]), (0, 0));
    }
}
