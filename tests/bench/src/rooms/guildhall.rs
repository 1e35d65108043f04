//! The servers, with users and rooms.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use guildhall_kernel::{Db, Timestamp};
use hyper::{
    StatusCode,
    header::{AUTHORIZATION, HeaderValue},
};
use sea_orm::{ConnectionTrait, Statement};
use sha2::{Digest, Sha256};

use super::room::{Room, System};
use crate::{
    client::{Ask, Wire, post},
    fill::{self, Volume},
    process::{self, Process},
};

/// How many users join a room at the same time.
const JOINED_AT_ONCE: usize = 8;
/// Ten days, in microseconds.
const VALID: i64 = 864_000_000_000;
/// Limits that the load exceeds, and times that its clients do not keep.
const SETTINGS: [(&str, &str); 6] = [
    ("GUILDHALL__CHAT__HOST_GRACE_SECONDS", "3600"),
    ("GUILDHALL__LIMITS__CONNECTIONS", "20000"),
    ("GUILDHALL__REALTIME__HANDSHAKES_PER_MINUTE", "0"),
    ("GUILDHALL__REALTIME__HEARTBEAT_SECONDS", "3600"),
    ("GUILDHALL__REALTIME__IDLE_SECONDS", "7200"),
    ("GUILDHALL__REALTIME__SOCKETS_PER_USER", "100000"),
];

/// How many frames per second the gateways accept of a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameLimit {
    /// The default.
    Default,
    /// More than any client sends.
    Off,
}

/// What is started.
pub(crate) struct Gateways {
    pub(crate) program: PathBuf,
    pub(crate) url: String,
    pub(crate) count: u32,
    pub(crate) nats: Option<String>,
}

/// Gateways on one database with users.
pub(crate) struct Servers {
    processes: Vec<Process>,
    people: u32,
    rooms: AtomicU32,
}

impl Gateways {
    /// Fills the database and starts the gateways without a limit of frames. Also returns the database's version.
    pub(crate) async fn start(&self, folder: &Path, people: u32) -> anyhow::Result<(Servers, String)> {
        process::migrate(&self.program, folder, &self.url)?;
        let volume = Volume { people, groups: 1, posts: 10, deals: 0, messages: 0 };
        let database = fill::fill_at(&self.url, volume, "").await?;
        fill_tokens(&self.url, people).await?;
        Ok((self.serve(folder, people, FrameLimit::Off).await?, database))
    }

    /// Starts the gateways on the filled database.
    pub(super) async fn serve(&self, folder: &Path, people: u32, limit: FrameLimit) -> anyhow::Result<Servers> {
        let mut settings: Vec<(&str, &str)> = SETTINGS.to_vec();
        if limit == FrameLimit::Off {
            settings.push(("GUILDHALL__REALTIME__FRAMES_PER_SECOND", "100000"));
        }
        settings.extend(self.nats.as_deref().map(|url| ("GUILDHALL__NATS__URL", url)));
        let mut processes = Vec::new();
        for _ in 0..self.count {
            processes.push(Process::server_with(&self.program, folder, &self.url, &settings).await?);
        }
        Ok(Servers { processes, people, rooms: AtomicU32::new(0) })
    }
}

/// The token of a user, counted from 0.
fn token(person: u32) -> String {
    format!("benchmark-{person}")
}

/// Makes the first user a teacher, and gives everybody a token.
async fn fill_tokens(url: &str, people: u32) -> anyhow::Result<()> {
    let db = Db::connect(url, 1).await?;
    let backend = db.backend();
    db.write(|tx| async move {
        tx.execute_unprepared("UPDATE users SET is_teacher = true WHERE id = 1").await?;
        let now = Timestamp::now().unix_micros();
        for person in 0..people {
            let sql = "INSERT INTO accounts_user_token (user_id, name, prefix, token_sha256, created_at, expires_at) \
                VALUES ($1, 'benchmark', 'benchmark', $2, $3, $4)";
            let hash = Sha256::digest(token(person)).to_vec();
            let values = [i64::from(person + 1).into(), hash.into(), now.into(), (now + VALID).into()];
            tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
        }
        Ok::<_, sea_orm::DbErr>(())
    })
    .await?;
    Ok(db.close().await?)
}

impl Servers {
    fn addresses(&self) -> Vec<SocketAddr> {
        self.processes.iter().map(Process::address).collect()
    }

    /// The ids of the processes.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Process::pid).collect()
    }

    /// The address and the process id of the first gateway.
    pub(crate) fn first(&self) -> anyhow::Result<(SocketAddr, u32)> {
        self.processes.first().map(|process| (process.address(), process.pid())).context("no gateway")
    }

    /// The header of a handshake with the credentials of a user, counted from 0.
    pub(crate) fn credentials(person: u32) -> String {
        format!("Authorization: Token {}\r\n", token(person))
    }

    /// A new room with this many participants. Small rooms have different ones.
    pub(super) async fn room(&self, count: u32) -> anyhow::Result<Room> {
        let number = self.rooms.fetch_add(1, Ordering::Relaxed);
        let (address, _) = self.first()?;
        let body = format!(r#"{{"name":"Room {number}","auto_approve":true,"max_participants":{}}}"#, count.max(2));
        let mut wire = Wire::open(address).await?;
        let (status, body) = wire.fetch(with_token(post("/api/chat/create/", None, body)?, 0)?).await?;
        ensure!(status == StatusCode::CREATED, "{status} {}", String::from_utf8_lossy(&body));
        let room = serde_json::from_slice::<serde_json::Value>(&body)?["id"].as_i64().context("no id")?;
        let others = self.people - 1;
        let start = number * (count - 1);
        let people: Vec<u32> = (0..count - 1).map(|index| 1 + (start + index) % others).collect();
        let joining = people.chunks(people.len().div_ceil(JOINED_AT_ONCE)).map(|people| join(address, room, people));
        stream::iter(joining).buffer_unordered(JOINED_AT_ONCE).try_collect::<Vec<()>>().await?;
        let tokens = [0].into_iter().chain(people).map(token).collect();
        Ok(Room { system: System::Guildhall, addresses: self.addresses(), id: room, tokens })
    }
}

async fn join(address: SocketAddr, room: i64, people: &[u32]) -> anyhow::Result<()> {
    let mut wire = Wire::open(address).await?;
    for person in people {
        let request = with_token(post(&format!("/api/chat/{room}/join/"), None, "{}".to_owned())?, *person)?;
        let (status, body) = wire.fetch(request).await?;
        ensure!(status.is_success(), "{status} {}", String::from_utf8_lossy(&body));
    }
    Ok(())
}

fn with_token(mut request: Ask, person: u32) -> anyhow::Result<Ask> {
    let value = HeaderValue::try_from(format!("Token {}", token(person)))?;
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(request)
}
