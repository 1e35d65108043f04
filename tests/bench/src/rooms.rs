//! Measures chat rooms over sockets: one gateway or several on one database, and optionally the peer.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;

use crate::{
    fill::Databases,
    report,
    rooms::{
        guildhall::FrameLimit,
        load::{SENDERS, burst, pace},
        results::{Burst, Figures, Flooder, Line, Results, SlowReaders, Storm},
        room::{Room, System},
        socket::{Pace, Socket, flood, open_all},
    },
};

pub(crate) use guildhall::{Gateways, Servers};

mod guildhall;
mod load;
mod peer;
mod results;
mod room;
mod socket;

/// Latency is measured at this part of the highest throughput, but at no more than so many deliveries per second: the
/// highest throughput is that of messages which are written to a socket together, and single ones cost more.
const PACED_LOAD: f64 = 0.2;
const PACED_DELIVERIES: f64 = 20_000.0;
/// The number of sockets for slow readers; one of ten of them is slow.
const AUDIENCE: u32 = 1_000;
/// The number of small rooms, and of sockets in each.
const SMALL_ROOMS: u32 = 1_000;
const SMALL_ROOM: u32 = 10;

/// Measures chat rooms over sockets.
#[derive(Args)]
pub struct Options {
    /// The server; by default `guildhall` in the folder of this program
    #[arg(long, value_name = "PATH")]
    pub server: Option<PathBuf>,
    /// An empty PostgreSQL database; by default the run creates an SQLite file
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Number of gateways on the database
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4))]
    pub gateways: u32,
    /// A NATS server between the gateways; without it they use LISTEN and NOTIFY
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    /// Number of sockets in a room; may be given several times
    #[arg(long, value_name = "SOCKETS", default_values_t = [10, 100, 1_000, 5_000],
        value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub sockets: Vec<u32>,
    /// Length of a run, in seconds
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub seconds: u32,
    /// Number of runs
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
    /// Measure only the fan-out of one room
    #[arg(long)]
    pub fan_out_only: bool,
    /// The source of the Django peer, to compare with
    #[arg(long, value_name = "PATH", requires = "python")]
    pub peer: Option<PathBuf>,
    /// A Python interpreter with the packages that the peer requires
    #[arg(long, value_name = "PATH", requires = "peer")]
    pub python: Option<PathBuf>,
    /// Write the results as JSON to this file
    #[arg(long, value_name = "PATH")]
    pub json: Option<PathBuf>,
    /// Write the results as Markdown, and plots, to `performance` in this folder
    #[arg(long, value_name = "PATH")]
    pub docs: Option<PathBuf>,
}

impl Options {
    /// Measures everything.
    ///
    /// # Errors
    /// Among others, if a message is lost, repeated or out of order.
    pub async fn measure(&self, program: PathBuf) -> anyhow::Result<Results> {
        let folder = tempfile::tempdir()?;
        let url = Databases::first(self.database.as_deref(), folder.path())?;
        let people = self.sockets.iter().copied().max().unwrap_or(2).max(AUDIENCE);
        progress("filling")?;
        let gateways = Gateways { program, url, count: self.gateways, nats: self.nats.clone() };
        let (server, database) = gateways.start(folder.path(), people).await?;
        let peer = match self.peer.as_deref().zip(self.python.as_deref()) {
            Some((source, python)) => Some(peer::start(folder.path(), source, python, &self.sockets).await?),
            None => None,
        };
        let mut lines = Vec::new();
        for count in &self.sockets {
            let room = server.room(*count).await?;
            let on_server = self.fan_out(&room, &server.pids(), *count, System::Guildhall).await?;
            let on_peer = match &peer {
                Some(peer) => Some(self.fan_out(&peer.room(*count)?, &peer.pids(), *count, System::Peer).await?),
                None => None,
            };
            lines.push(Line { sockets: *count, server: on_server, peer: on_peer });
        }
        drop(peer);
        let (mut slow_readers, mut flooder, mut small_rooms, mut storm) = (None, None, None, None);
        if !self.fan_out_only {
            slow_readers = Some(self.slow_readers(&server).await?);
            small_rooms = Some(self.small_rooms(&server).await?);
            storm = Some(self.storm(&server, people).await?);
            drop(server);
            flooder = Some(self.flooder(&gateways.serve(folder.path(), people, FrameLimit::Default).await?).await?);
        }
        Ok(Results {
            command: report::command(),
            machine: report::machine(),
            database,
            gateways: self.gateways,
            bus: match (&self.nats, self.gateways) {
                (Some(_), _) => "NATS",
                (None, 1) => "none",
                (None, _) => "LISTEN and NOTIFY",
            },
            seconds: self.seconds,
            runs: self.runs,
            lines,
            slow_readers,
            flooder,
            small_rooms,
            storm,
        })
    }

    fn length(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    async fn fan_out(&self, room: &Room, pids: &[u32], count: u32, system: System) -> anyhow::Result<Figures> {
        progress(&format!("{count} sockets, {system} …"))?;
        let mut sockets = open_all(room.participants(count), Pace::Fast).await?;
        self.figures(&mut sockets, pids, SENDERS).await
    }

    /// The highest throughput of several runs, and the latency at a part of it.
    async fn figures(&self, sockets: &mut [Socket], pids: &[u32], senders: usize) -> anyhow::Result<Figures> {
        burst(sockets, senders, pids, Duration::from_millis(500)).await?;
        let mut runs = Vec::new();
        for _ in 0..self.runs {
            runs.push(burst(sockets, senders, pids, self.length()).await?);
        }
        let rate = paced_rate(&runs, u32::try_from(sockets.len())?);
        let latency = pace(sockets, rate, self.length()).await?;
        Ok(Figures::of(&runs, rate, latency))
    }

    async fn slow_readers(&self, server: &Servers) -> anyhow::Result<SlowReaders> {
        progress("slow readers …")?;
        let room = server.room(AUDIENCE).await?;
        let mut sockets = open_all(room.participants(AUDIENCE), Pace::Fast).await?;
        let highest = burst(&mut sockets, SENDERS, &server.pids(), self.length()).await?;
        let rate = paced_rate(&[highest], AUDIENCE);
        let without = pace(&mut sockets, rate, self.length()).await?;
        let slow = AUDIENCE / 10;
        sockets.truncate((AUDIENCE - slow) as usize);
        let participants = room.participants(AUDIENCE).split_off((AUDIENCE - slow) as usize);
        let slow_sockets = open_all(participants, Pace::Slow).await?;
        let with = pace(&mut sockets, rate, self.length()).await?;
        drop(slow_sockets);
        Ok(SlowReaders { sockets: AUDIENCE, slow, rate, without, with })
    }

    async fn flooder(&self, server: &Servers) -> anyhow::Result<Flooder> {
        progress("flooder …")?;
        let room = server.room(AUDIENCE).await?;
        let mut participants = room.participants(AUDIENCE);
        let participant = participants.pop().context("no participants")?;
        let mut sockets = open_all(participants, Pace::Fast).await?;
        let rate = PACED_DELIVERIES / f64::from(AUDIENCE);
        let without = pace(&mut sockets, rate, self.length()).await?;
        let closed = Arc::new(AtomicU32::new(0));
        let counted = closed.clone();
        let mut flooding = tokio::spawn(async move { flood(&participant, &counted).await });
        let with = tokio::select! {
            with = pace(&mut sockets, rate, self.length()) => with?,
            ended = &mut flooding => bail!("the flooder has ended: {:?}", ended?.err()),
        };
        flooding.abort();
        let closed = closed.load(Ordering::Relaxed);
        Ok(Flooder { sockets: AUDIENCE - 1, rate, closed, without, with })
    }

    async fn small_rooms(&self, server: &Servers) -> anyhow::Result<Figures> {
        progress("small rooms …")?;
        let mut participants = Vec::new();
        for _ in 0..SMALL_ROOMS {
            participants.push(server.room(SMALL_ROOM).await?.participants(SMALL_ROOM));
        }
        load::in_rooms(participants, &server.pids(), self.runs, self.length()).await
    }

    /// All sockets of a room break at once, and come back at once.
    async fn storm(&self, server: &Servers, count: u32) -> anyhow::Result<Storm> {
        progress("reconnect storm …")?;
        let room = server.room(count).await?;
        let mut sockets = open_all(room.participants(count), Pace::Fast).await?;
        load::storm(&mut sockets).await
    }
}

/// Messages per second, each to this many sockets, at which latency is measured.
fn paced_rate(bursts: &[Burst], sockets: u32) -> f64 {
    let highest = bursts.iter().map(|burst| burst.messages_per_second).fold(0.0, f64::max);
    (highest * PACED_LOAD).min(PACED_DELIVERIES / f64::from(sockets)).max(1.0)
}

fn progress(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stderr(), "{text}")?)
}
