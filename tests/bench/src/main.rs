//! `guildhall-bench`: the load generator, and the floor to compare with.

use std::{
    env, fmt,
    fs::File,
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use guildhall_accounts::HashCost;
use guildhall_bench::{
    client::{Client, RequestSource, get, sign_in},
    fill::{self, BUSY, Databases, Volume},
    floor,
    growth::{self, Growth, Setup},
    load,
    measure::{self, Plan},
    process::{self, Process},
    report::{self, Flood, Latency, Report},
    scenario::Scenario,
    target::Target,
};
use hyper::StatusCode;
use serde::Serialize;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Number of connections of a flood.
const FLOOD_SIZE: u32 = 200;
/// Default number of deals.
const DEALS: u32 = 10_000;
/// Health checks per second during a flood.
const PROBES: f64 = 100.0;

/// Measures a Guildhall server under load, compared with the floor, a minimal baseline server.
#[derive(Parser)]
#[command(name = "guildhall-bench", version, about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the floor, as a run does automatically
    Floor {
        /// The filled database
        #[arg(long, value_name = "URL")]
        database: String,
        /// Address and port to listen on
        #[arg(long, value_name = "HOST:PORT")]
        bind: SocketAddr,
    },
}

#[derive(Args)]
struct Run {
    /// The server; by default `guildhall` in the folder of this program
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// An empty PostgreSQL database; by default the run creates SQLite files
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Number of users
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(i64::from(FLOOD_SIZE)..))]
    people: u32,
    /// Number of groups
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    groups: u32,
    /// Number of posts
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(10..))]
    posts: u32,
    /// Number of connections
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=i64::from(BUSY)))]
    connections: u32,
    /// Length of a run, in seconds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Number of runs per server
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Run only this scenario; may be given several times
    #[arg(long, value_enum, value_name = "SCENARIO")]
    only: Vec<Scenario>,
    /// Skip the flood of sign-ins
    #[arg(long)]
    no_flood: bool,
    /// Measure only the server, on a small database and on one that is ten times as large
    #[arg(long, conflicts_with_all = ["people", "groups", "posts", "no_flood"])]
    growth: bool,
    /// Number of deals, by default 10000; with --growth, compare an organization with 10000 deals with one that has
    /// this many
    #[arg(long, num_args = 0..=1, default_missing_value = "1000000", value_name = "DEALS")]
    deals: Option<u32>,
    /// Write the results as JSON to this file
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match cli.command {
        Some(Command::Floor { database, bind }) => runtime.block_on(floor::serve(bind, database)),
        None => runtime.block_on(cli.run.bench()),
    }
}

impl Run {
    async fn bench(self) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let suffix = if self.growth { "small" } else { "floor" };
        let databases = Databases::choose(self.database.as_deref(), folder.path(), suffix).await?;
        if self.growth {
            let growth = self.grow(&databases, folder.path()).await;
            self.finish(&databases, growth).await
        } else {
            let report = self.measure(&databases, folder.path()).await;
            self.finish(&databases, report).await
        }
    }

    /// Cleans up, then prints and stores the results.
    async fn finish<T: fmt::Display + Serialize>(
        &self,
        databases: &Databases,
        results: anyhow::Result<T>,
    ) -> anyhow::Result<()> {
        let cleanup = databases.drop_created().await;
        let results = results?;
        cleanup?;
        writeln!(io::stdout(), "{results}")?;
        if let Some(path) = &self.json {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            serde_json::to_writer_pretty(file, &results)?;
        }
        Ok(())
    }

    async fn grow(&self, databases: &Databases, folder: &Path) -> anyhow::Result<Growth> {
        let (default, volumes): (&[Scenario], _) = match self.deals {
            Some(deals) => (&Scenario::DEALS, [growth::SMALL_DEALS, Volume { deals, ..growth::LARGE_DEALS }]),
            None => (&growth::SCENARIOS, [growth::SMALL, growth::LARGE]),
        };
        let (program, scenarios) = (self.program()?, self.scenarios(default));
        let (connections, plan) = (self.connections, self.plan());
        let setup = Setup { program: &program, folder, scenarios: &scenarios, connections, plan, volumes };
        setup.measure(databases).await
    }

    async fn measure(&self, databases: &Databases, folder: &Path) -> anyhow::Result<Report> {
        let program = self.program()?;
        let deals = self.deals.unwrap_or(DEALS);
        let volume = Volume { people: self.people, groups: self.groups, posts: self.posts, deals };
        let hash = fill::password_hash(HashCost::default())?;
        let mut database = String::new();
        for url in [&databases.second, &databases.first] {
            process::migrate(&program, folder, url)?;
            database = fill::fill_at(url, volume, &hash).await?;
        }
        let server = Process::server(&program, folder, &databases.first).await?;
        let floor = Process::floor(folder, &databases.second).await?;
        let idle = server.memory()?;
        let on_server = Target::sign_in(server.address(), self.connections, volume).await?;
        let on_floor = Target::sign_in(floor.address(), self.connections, volume).await?;

        let mut lines = Vec::new();
        for scenario in self.scenarios(&Scenario::ALL) {
            writeln!(io::stderr(), "{} …", scenario.name())?;
            lines.push(measure::with_floor(scenario, &on_server, &on_floor, self.plan()).await?);
        }
        let loaded = server.memory()?;
        drop(floor);
        let flood = if self.no_flood { None } else { Some(self.flood(&server).await?) };
        Ok(Report {
            command: report::command(),
            machine: report::machine(),
            database,
            volume,
            connections: self.connections,
            runs: self.runs,
            seconds: self.seconds,
            ready_ms: server.ready_after().as_secs_f64() * 1000.0,
            lines,
            idle,
            loaded,
            flood,
        })
    }

    async fn flood(&self, server: &Process) -> anyhow::Result<Flood> {
        writeln!(io::stderr(), "flood …")?;
        let address = server.address();
        let mut probe = vec![Client::open(address, RequestSource::same(get("/healthz", None)?), StatusCode::OK).await?];
        let healthz_before = Latency::of(&load::open(&mut probe, PROBES, self.length()).await?);
        server.forget_peak();
        let before = server.memory()?;
        let requests = (0..FLOOD_SIZE).map(sign_in).collect::<anyhow::Result<_>>()?;
        let (responses, healthz) = tokio::try_join!(
            load::flood(address, requests, self.length()),
            load::open(&mut probe, PROBES, self.length()),
        )?;
        let (healthz, after) = (Latency::of(&healthz), server.memory()?);
        Ok(Flood { connections: FLOOD_SIZE, healthz_before, healthz, answers: responses, before, after })
    }

    fn program(&self) -> anyhow::Result<PathBuf> {
        let path = match &self.server {
            Some(path) => path.clone(),
            None => env::current_exe()?.with_file_name("guildhall"),
        };
        let missing = || format!("there is no server at {}; build it with `cargo build --release`", path.display());
        path.canonicalize().with_context(missing)
    }

    fn length(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    fn plan(&self) -> Plan {
        Plan { runs: self.runs, length: self.length() }
    }

    /// The selected scenarios of `all`.
    fn scenarios(&self, all: &[Scenario]) -> Vec<Scenario> {
        let selected = |scenario: &Scenario| self.only.is_empty() || self.only.contains(scenario);
        all.iter().copied().filter(selected).collect()
    }
}
