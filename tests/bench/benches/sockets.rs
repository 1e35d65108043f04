//! Fan-out of one stream to many sockets, beside a bare axum handler that coalesces writes, in the same process and with
//! the same clients. Also the memory of idle sockets.
//!
//! `cargo bench -p guildhall-bench --bench sockets`

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use async_trait::async_trait;
use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket},
    },
    routing::get,
};
use futures_util::SinkExt;
use guildhall_kernel::{Auth, Authenticate, Caller, Clock, Credentials, Db, HostTables, Result, Roles, UserId};
use guildhall_realtime::{OwnStream, RealtimeState, Settings, SingleProcess, Streams};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::broadcast,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Events of a burst, and transactions at a time.
const EVENTS: u32 = 500;
const WRITERS: u32 = 50;
const RUNS: u32 = 3;
/// The user whose stream all sockets follow.
const USER: UserId = UserId(1);
/// The length of an event.
const LENGTH: usize = 200;

struct Anybody;

#[async_trait]
impl Authenticate for Anybody {
    async fn authenticate(&self, _: Credentials) -> Result<Caller> {
        Ok(Caller::new(USER, Roles::default()))
    }
}

/// A server, and how it publishes a burst.
enum Server {
    Guildhall { address: SocketAddr, db: Db, streams: Streams },
    Bare { address: SocketAddr, sender: broadcast::Sender<Utf8Bytes> },
}

impl Server {
    async fn guildhall(folder: &std::path::Path) -> anyhow::Result<Self> {
        let url = format!("sqlite://{}?mode=rwc", folder.join("bench.db").display());
        let db = Db::connect(&url, 4).await?;
        db.migrate(guildhall_migration_of_streams).await?;
        let settings = Settings {
            sockets_per_user: usize::MAX,
            handshakes_per_minute: 0,
            idle_seconds: 100_000,
            heartbeat_seconds: 100_000,
            ..Settings::default()
        };
        let (auth, clock) = (Auth::new(Anybody), Clock::system());
        let streams = Streams::new(db.clone(), clock, settings, auth, SingleProcess, vec![Arc::new(OwnStream)]);
        let router = Router::from(guildhall_realtime::router(RealtimeState::new(streams.clone())));
        let running = streams.clone();
        tokio::spawn(async move { running.run().await });
        Ok(Self::Guildhall { address: serve(router).await?, db, streams })
    }

    async fn bare() -> anyhow::Result<Self> {
        let (sender, _) = broadcast::channel(2 * EVENTS as usize);
        let router = Router::new().route("/ws/notifications/", get(follow)).with_state(sender.clone());
        Ok(Self::Bare { address: serve(router).await?, sender })
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Guildhall { address, .. } | Self::Bare { address, .. } => *address,
        }
    }

    /// Publishes a burst; the first server stores each event in a transaction of its own.
    async fn publish(&self) -> anyhow::Result<()> {
        let event = json!({ "type": "message", "text": "x".repeat(LENGTH - 40) });
        match self {
            Self::Bare { sender, .. } => {
                let text = Utf8Bytes::from(event.to_string());
                for number in 0..EVENTS {
                    sender.send(text.clone())?;
                    if number % 20 == 19 {
                        tokio::task::yield_now().await;
                    }
                }
            }
            Self::Guildhall { db, streams, .. } => {
                let writers = (0..WRITERS).map(|_| {
                    let (db, streams, event) = (db.clone(), streams.clone(), event.clone());
                    tokio::spawn(async move {
                        let (streams, event, stream) = (&streams, &event, &OwnStream::of(USER));
                        for _ in 0..EVENTS / WRITERS {
                            db.write(|tx| async move { streams.append(&tx, stream, event).await }).await?;
                        }
                        Ok::<_, guildhall_kernel::Error>(())
                    })
                });
                for writer in writers.collect::<Vec<_>>() {
                    writer.await??;
                }
            }
        }
        Ok(())
    }
}

/// The tables of streams, with a user table that has one user.
fn guildhall_migration_of_streams() -> Vec<Box<dyn sea_orm_migration::MigrationTrait>> {
    let host = HostTables { users: guildhall_accounts::USERS };
    let mut all = guildhall_accounts::migrations();
    all.extend(guildhall_kernel::migrations(&host));
    all.extend(guildhall_realtime::migrations(&host));
    all.sort_by(|one, other| one.name().cmp(other.name()));
    all
}

async fn serve(router: Router) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn follow(
    State(sender): State<broadcast::Sender<Utf8Bytes>>,
    upgrade: WebSocketUpgrade,
) -> axum::response::Response {
    let upgrade = upgrade.read_buffer_size(4096).write_buffer_size(16 * 1024);
    upgrade.on_upgrade(move |socket| send_all(socket, sender.subscribe()))
}

async fn send_all(mut socket: WebSocket, mut receiver: broadcast::Receiver<Utf8Bytes>) {
    if socket.send(Message::Text("{\"type\":\"hello\"}".into())).await.is_err() {
        return;
    }
    while let Ok(text) = receiver.recv().await {
        let mut fed = socket.feed(Message::Text(text)).await;
        for _ in 1..64 {
            let Ok(text) = receiver.try_recv() else { break };
            fed = socket.feed(Message::Text(text)).await;
        }
        if fed.is_err() || socket.flush().await.is_err() {
            return;
        }
    }
}

/// Opens a socket and counts its frames.
async fn open(address: SocketAddr, received: Arc<AtomicU64>) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /ws/notifications/?token=1 HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    tokio::spawn(async move {
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
    });
    Ok(())
}

/// The complete frames of a server at the begin of some bytes, and their length (RFC 6455 §5.2).
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

fn resident() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

async fn wait_for(received: &AtomicU64, expected: u64) -> anyhow::Result<()> {
    let started = Instant::now();
    while received.load(Ordering::Relaxed) < expected {
        anyhow::ensure!(
            started.elapsed() < Duration::from_secs(60),
            "{} of {expected}",
            received.load(Ordering::Relaxed)
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// Deliveries per second of the best run.
async fn measure(server: &Server, sockets: u32) -> anyhow::Result<f64> {
    let received = Arc::new(AtomicU64::new(0));
    let before = resident()?;
    let started = Instant::now();
    for _ in 0..sockets {
        open(server.address(), received.clone()).await?;
    }
    wait_for(&received, sockets.into()).await?;
    let handshakes = f64::from(sockets) / started.elapsed().as_secs_f64();
    let each = (resident()? - before) * 1024.0 / f64::from(sockets);
    writeln!(
        io::stderr(),
        "    {sockets} sockets: {handshakes:.0} handshakes/s, {each:.1} KiB each with their client"
    )?;
    let mut best = 0.0_f64;
    for run in 1..=RUNS {
        let started = Instant::now();
        server.publish().await?;
        wait_for(&received, u64::from(sockets) * u64::from(1 + run * EVENTS)).await?;
        best = best.max(f64::from(sockets) * f64::from(EVENTS) / started.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        for sockets in [10, 100, 1000, 5000] {
            let folder = tempfile::tempdir()?;
            let bare = measure(&Server::bare().await?, sockets).await?;
            let guildhall = measure(&Server::guildhall(folder.path()).await?, sockets).await?;
            writeln!(
                io::stdout(),
                "{sockets:>5} sockets: {guildhall:>9.0} deliveries/s, bare axum {bare:>9.0}, ratio {:.2}",
                guildhall / bare
            )?;
        }
        Ok(())
    })
}
