//! The server and its floor, each a process of its own.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use hyper::StatusCode;
use serde::Serialize;

use crate::client::{Wire, get};

/// How long a process may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(2);

/// A process that serves, for as long as this lives.
pub struct Process {
    child: Child,
    address: SocketAddr,
    ready_after: Duration,
}

/// How much memory a process holds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// Now (`VmRSS`).
    pub resident_kib: u32,
    /// At most so far (`VmHWM`).
    pub peak_kib: u32,
}

impl Process {
    /// Starts `guildhall serve` on a database that has its tables.
    pub async fn server(program: &Path, folder: &Path, database: &str) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = guildhall(program, folder, database);
        command.arg("serve").env("GUILDHALL__SERVER__BIND", address.to_string());
        // Tokens are made once, for a whole run.
        command.env("GUILDHALL__ACCOUNTS__ACCESS_TOKEN_SECONDS", "86400");
        Self::start(command, address).await
    }

    /// Starts the floor, which is this program once more.
    pub async fn floor(folder: &Path, database: &str) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = clean(&env::current_exe()?, folder);
        command.args(["floor", "--database", database, "--bind"]).arg(address.to_string());
        Self::start(command, address).await
    }

    async fn start(mut command: Command, address: SocketAddr) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let mut process = Self { child, address, ready_after: Duration::ZERO };
        while !is_ready(address).await {
            if let Some(status) = process.child.try_wait()? {
                bail!("{} ended before it was ready, with {status}", command.get_program().display());
            }
            ensure!(begun.elapsed() < PATIENCE, "{} does not get ready", command.get_program().display());
            tokio::time::sleep(PAUSE).await;
        }
        process.ready_after = begun.elapsed();
        Ok(process)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long it took to be ready.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// How much memory it holds.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        let kib = |name: &str| line(name).with_context(|| format!("the system does not tell {name}"));
        Ok(Memory { resident_kib: kib("VmRSS:")?.parse()?, peak_kib: kib("VmHWM:")?.parse()? })
    }

    /// Begins to count the peak anew, where the system lets us.
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

/// Makes the tables, as `guildhall migrate` does.
pub fn migrate(program: &Path, folder: &Path, database: &str) -> anyhow::Result<()> {
    let done = guildhall(program, folder, database).arg("migrate").stderr(Stdio::piped()).output();
    let done = done.with_context(|| format!("cannot start {}", program.display()))?;
    ensure!(done.status.success(), "the tables cannot be made: {}", String::from_utf8_lossy(&done.stderr).trim());
    Ok(())
}

fn guildhall(program: &Path, folder: &Path, database: &str) -> Command {
    let mut command = clean(program, folder);
    command.env("GUILDHALL__DATABASE__URL", database).env("GUILDHALL__LIMITS__ENABLED", "false");
    command
}

/// A command that knows nothing of the settings of whoever runs the benchmark.
///
/// Its log goes nowhere: it is written as in earnest, but no disk is measured along.
fn clean(program: &Path, folder: &Path) -> Command {
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
    ask(address).await.is_ok_and(|status| status == StatusCode::OK)
}

async fn ask(address: SocketAddr) -> anyhow::Result<StatusCode> {
    Wire::open(address).await?.send(get("/readyz", None)?).await
}
