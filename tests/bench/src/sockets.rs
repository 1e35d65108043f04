//! Measures the fan-out of one stream to many sockets, beside a bare axum handler that coalesces writes, in this process
//! and with the same clients; and the memory of a server with idle sockets.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;

use crate::{
    fill::Databases,
    report,
    rooms::{Gateways, Servers},
    sockets::{
        clients::Clients,
        results::{Idle, Line, Results},
        server::Server,
    },
    usage::Memory,
};

mod clients;
mod results;
mod server;

/// Events of a burst, and transactions at a time.
const EVENTS: u32 = 500;
const WRITERS: u32 = 50;
/// The length of an event.
const LENGTH: usize = 200;
/// The users of idle sockets.
const PEOPLE: u32 = 100;
/// How long a server rests before its memory is measured.
const REST: Duration = Duration::from_secs(2);

/// Measures the fan-out of a stream to sockets, compared with a bare axum handler, and idle sockets.
#[derive(Args)]
pub struct Options {
    /// The server; by default `guildhall` in the folder of this program
    #[arg(long, value_name = "PATH")]
    pub server: Option<PathBuf>,
    /// Number of sockets; may be given several times
    #[arg(long, value_name = "SOCKETS", default_values_t = [10, 100, 1_000, 5_000],
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub sockets: Vec<u32>,
    /// Number of idle sockets; may be given several times
    #[arg(long, value_name = "SOCKETS", default_values_t = [1_000, 10_000],
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub idle: Vec<u32>,
    /// Number of runs, of which the best counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
    /// Write the results as JSON to this file
    #[arg(long, value_name = "PATH")]
    pub json: Option<PathBuf>,
    /// Write the results as Markdown to `performance` in this folder
    #[arg(long, value_name = "PATH")]
    pub docs: Option<PathBuf>,
}

impl Options {
    /// Measures both servers.
    ///
    /// # Errors
    /// Among others, if not every event arrives.
    pub async fn measure(&self, program: &Path) -> anyhow::Result<Results> {
        let (mut lines, mut idle, mut database) = (Vec::new(), Vec::new(), String::new());
        for sockets in &self.sockets {
            progress(&format!("{sockets} sockets …"))?;
            let folder = tempfile::tempdir()?;
            let bare = deliveries_per_second(&Server::bare().await?, *sockets, self.runs).await?;
            let server = Server::guildhall(folder.path()).await?;
            let server = deliveries_per_second(&server, *sockets, self.runs).await?;
            lines.push(Line { sockets: *sockets, server, bare });
        }
        for sockets in &self.idle {
            progress(&format!("{sockets} idle sockets …"))?;
            let folder = tempfile::tempdir()?;
            let url = Databases::first(None, folder.path())?;
            let gateways = Gateways { program: program.to_owned(), url, count: 1, nats: None };
            let (servers, version) = gateways.start(folder.path(), PEOPLE).await?;
            database = version;
            idle.push(measure_idle(&servers, *sockets).await?);
        }
        let (command, machine) = (report::command(), report::machine());
        Ok(Results { command, machine, database, runs: self.runs, lines, idle })
    }
}

/// Deliveries per second of the best run.
async fn deliveries_per_second(server: &Server, sockets: u32, runs: u32) -> anyhow::Result<f64> {
    let mut clients = Clients::new();
    for _ in 0..sockets {
        clients.open(server.address(), "Authorization: Bearer 1\r\n").await?;
    }
    clients.wait_for(sockets.into()).await?;
    let mut best = 0.0_f64;
    for run in 1..=runs {
        let started = Instant::now();
        server.publish().await?;
        clients.wait_for(u64::from(sockets) * u64::from(1 + run * EVENTS)).await?;
        best = best.max(f64::from(sockets) * f64::from(EVENTS) / started.elapsed().as_secs_f64());
    }
    Ok(best)
}

async fn measure_idle(servers: &Servers, sockets: u32) -> anyhow::Result<Idle> {
    let (address, pid) = servers.first()?;
    tokio::time::sleep(REST).await;
    let before_kib = Memory::of(pid)?.resident_kib;
    let (mut clients, started) = (Clients::new(), Instant::now());
    for number in 0..sockets {
        clients.open(address, &Servers::credentials(number % PEOPLE)).await?;
    }
    clients.wait_for(sockets.into()).await?;
    let handshakes_per_second = f64::from(sockets) / started.elapsed().as_secs_f64();
    tokio::time::sleep(REST).await;
    Ok(Idle { sockets, before_kib, with_kib: Memory::of(pid)?.resident_kib, handshakes_per_second })
}

fn progress(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stderr(), "{text}")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_event_reaches_every_socket_of_both_servers() {
        let folder = tempfile::tempdir().unwrap();
        for server in [Server::bare().await.unwrap(), Server::guildhall(folder.path()).await.unwrap()] {
            assert!(deliveries_per_second(&server, 3, 1).await.unwrap() > 0.0);
        }
    }
}
