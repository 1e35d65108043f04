//! The two servers, which run in this process.

use std::{net::SocketAddr, path::Path, sync::Arc};

use async_trait::async_trait;
use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket},
    },
    response::Response,
    routing::get,
};
use futures_util::SinkExt;
use guildhall_kernel::{Auth, Authenticate, Caller, Clock, Credentials, Db, HostTables, Result, Roles, UserId};
use guildhall_realtime::{OwnStream, RealtimeState, Settings, SingleProcess, Streams};
use sea_orm_migration::MigrationTrait;
use serde_json::json;
use tokio::{net::TcpListener, sync::broadcast, task::JoinSet};

use super::{EVENTS, LENGTH, WRITERS};

/// The user whose stream all sockets follow.
const USER: UserId = UserId(1);

struct Anybody;

#[async_trait]
impl Authenticate for Anybody {
    async fn authenticate(&self, _: Credentials) -> Result<Caller> {
        Ok(Caller::new(USER, Roles::default()))
    }
}

/// A server in this process.
pub(super) struct Server {
    address: SocketAddr,
    events: Events,
    /// Its work, which ends with it.
    _work: JoinSet<()>,
}

/// Where the events of a server go.
enum Events {
    Guildhall { db: Db, streams: Streams },
    Bare(broadcast::Sender<Utf8Bytes>),
}

impl Server {
    pub(super) async fn guildhall(folder: &Path) -> anyhow::Result<Self> {
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
        let (running, mut work) = (streams.clone(), JoinSet::new());
        work.spawn(async move { running.run().await });
        let address = serve(router, &mut work).await?;
        Ok(Self { address, events: Events::Guildhall { db, streams }, _work: work })
    }

    pub(super) async fn bare() -> anyhow::Result<Self> {
        let (sender, _) = broadcast::channel(2 * EVENTS as usize);
        let router = Router::new().route("/ws/notifications/", get(follow)).with_state(sender.clone());
        let mut work = JoinSet::new();
        let address = serve(router, &mut work).await?;
        Ok(Self { address, events: Events::Bare(sender), _work: work })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Publishes a burst; the first server stores each event in a transaction of its own.
    pub(super) async fn publish(&self) -> anyhow::Result<()> {
        let event = json!({ "type": "message", "text": "x".repeat(LENGTH - 40) });
        match &self.events {
            Events::Bare(sender) => {
                let text = Utf8Bytes::from(event.to_string());
                for number in 0..EVENTS {
                    sender.send(text.clone())?;
                    if number % 20 == 19 {
                        tokio::task::yield_now().await;
                    }
                }
            }
            Events::Guildhall { db, streams } => {
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
fn guildhall_migration_of_streams() -> Vec<Box<dyn MigrationTrait>> {
    let host = HostTables { users: guildhall_accounts::USERS };
    let mut all = guildhall_accounts::migrations();
    all.extend(guildhall_kernel::migrations(&host));
    all.extend(guildhall_files::migrations());
    all.extend(guildhall_realtime::migrations(&host));
    all.sort_by(|one, other| one.name().cmp(other.name()));
    all
}

async fn serve(router: Router, work: &mut JoinSet<()>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    work.spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    Ok(address)
}

async fn follow(State(sender): State<broadcast::Sender<Utf8Bytes>>, upgrade: WebSocketUpgrade) -> Response {
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
