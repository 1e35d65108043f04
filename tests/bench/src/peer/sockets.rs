//! The peer's sockets.

use std::{
    fs::{self, File},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Instant,
};

use anyhow::{Context, bail, ensure};

use super::{ACCESS_MINUTES, POLL_INTERVAL, Place, READY_TIMEOUT, children, free_address, is_ready, kill};

/// The peer, served by uvicorn: by two workers with Redis between them if it is installed, or by one. Killed on drop.
pub(crate) struct SocketPeer {
    server: Child,
    redis: Option<Child>,
    address: SocketAddr,
}

impl SocketPeer {
    /// Serves a filled database.
    pub(crate) async fn start(place: &Place) -> anyhow::Result<Self> {
        let (address, redis_address) = (free_address()?, free_address()?);
        let mut redis = Command::new("redis-server");
        redis.args(["--save", "", "--bind", "127.0.0.1", "--port", &redis_address.port().to_string()]);
        let redis = redis.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok();
        let mut command = place.python();
        let workers = if redis.is_some() { "2" } else { "1" };
        command.args(["-m", "uvicorn", "core.asgi:application", "--port", &address.port().to_string()]);
        command.args(["--workers", workers, "--log-level", "warning"]);
        // The clients answer no pings.
        command.args(["--ws-ping-interval", "86400", "--ws-ping-timeout", "86400"]);
        command.env("PEER_ACCESS_MINUTES", ACCESS_MINUTES);
        if redis.is_some() {
            command.env("PEER_REDIS_URL", format!("redis://{redis_address}/0"));
        }
        let log = place.folder.join("sockets.log");
        command.stderr(File::create(&log)?);
        let server = command.spawn().context("cannot start the peer")?;
        let mut peer = Self { server, redis, address };
        let start = Instant::now();
        while !is_ready(address).await {
            if let Some(status) = peer.server.try_wait()? {
                bail!("the peer exited before it was ready: {status}\n{}", fs::read_to_string(log)?.trim());
            }
            ensure!(start.elapsed() < READY_TIMEOUT, "the peer did not become ready in time");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(peer)
    }

    /// The address it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its processes, without Redis.
    pub(crate) fn pids(&self) -> Vec<u32> {
        children(self.server.id())
    }
}

impl Drop for SocketPeer {
    fn drop(&mut self) {
        kill(&mut self.server);
        if let Some(redis) = &mut self.redis {
            kill(redis);
        }
    }
}
