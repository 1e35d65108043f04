//! The server and the floor, each in its own process.

use std::{
    env, fs,
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use hyper::StatusCode;

use crate::{
    client::{Wire, get},
    usage::Memory,
};

/// How long a process may take to become ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How often readiness is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// A server process, killed on drop.
pub struct Process {
    child: Child,
    address: SocketAddr,
    ready_after: Duration,
}

impl Process {
    /// Starts `guildhall serve` on a migrated database.
    pub async fn server(program: &Path, folder: &Path, database: &str) -> anyhow::Result<Self> {
        Self::server_with(program, folder, database, &[]).await
    }

    /// Starts `guildhall serve` with other settings, as environment variables.
    pub async fn server_with(
        program: &Path,
        folder: &Path,
        database: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = guildhall(program, folder, database);
        command.arg("serve").env("GUILDHALL__SERVER__BIND", address.to_string());
        // Tokens are issued once for a whole run.
        command.env("GUILDHALL__ACCOUNTS__ACCESS_TOKEN_SECONDS", "86400");
        command.envs(settings.iter().copied());
        Self::start(command, address).await
    }

    /// Starts the floor, a second process of this program.
    pub async fn floor(folder: &Path, database: &str) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = command_without_settings(&env::current_exe()?, folder);
        command.args(["floor", "--database", database, "--bind"]).arg(address.to_string());
        Self::start(command, address).await
    }

    async fn start(mut command: Command, address: SocketAddr) -> anyhow::Result<Self> {
        let start = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let mut process = Self { child, address, ready_after: Duration::ZERO };
        while !is_ready(address).await {
            if let Some(status) = process.child.try_wait()? {
                bail!("{} exited before it was ready: {status}", command.get_program().display());
            }
            ensure!(
                start.elapsed() < READY_TIMEOUT,
                "{} did not become ready in time",
                command.get_program().display()
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        process.ready_after = start.elapsed();
        Ok(process)
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long it took to become ready.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its memory usage.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        Memory::of(self.pid())
    }

    /// Resets the peak memory usage, if the system allows it.
    pub fn forget_peak(&self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `guildhall migrate`.
pub fn migrate(program: &Path, folder: &Path, database: &str) -> anyhow::Result<()> {
    let output = guildhall(program, folder, database).arg("migrate").stderr(Stdio::piped()).output();
    let output = output.with_context(|| format!("cannot start {}", program.display()))?;
    ensure!(output.status.success(), "the migration failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Runs `guildhall demo` on an empty database. Everybody in it has this password.
pub fn fill_demo(program: &Path, folder: &Path, database: &str, password: &str) -> anyhow::Result<()> {
    let mut command = guildhall(program, folder, database);
    command.args(["demo", "--password-stdin"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
    child.stdin.take().context("the demo reads nothing")?.write_all(password.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "the demo failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

fn guildhall(program: &Path, folder: &Path, database: &str) -> Command {
    let mut command = command_without_settings(program, folder);
    command.env("GUILDHALL__DATABASE__URL", database).env("GUILDHALL__LIMITS__ENABLED", "false");
    command
}

/// A command that does not inherit Guildhall settings from the environment.
///
/// It writes its log as usual, but to `/dev/null`, so that the disk does not affect the measurement.
fn command_without_settings(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("GUILDHALL") {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

async fn is_ready(address: SocketAddr) -> bool {
    readiness(address).await.is_ok_and(|status| status == StatusCode::OK)
}

async fn readiness(address: SocketAddr) -> anyhow::Result<StatusCode> {
    Wire::open(address).await?.send(get("/readyz", None)?).await
}
