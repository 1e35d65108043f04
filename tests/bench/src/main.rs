//! `guildhall-bench`: the load generator, and the floor to compare with.

use std::{
    env,
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
    browser,
    client::{Client, RequestSource, get, sign_in},
    document::Results,
    figures::Latency,
    fill::{self, BUSY, Databases, Volume},
    floor,
    growth::{self, Growth, Setup},
    load,
    measure::{Plan, Servers, Subject},
    peer::Peer,
    physical,
    process::{self, Process},
    report::{self, Flood, Load, MemoryCourse, Report},
    rooms,
    scenario::Scenario,
    sockets,
    target::Target,
    usage::Memory,
};
use guildhall_kernel::db::sqlite_file;
use hyper::StatusCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Number of connections of a flood.
const FLOOD_SIZE: u32 = 200;
/// Default number of deals.
const DEALS: u32 = 10_000;
/// Default number of messages.
const MESSAGES: u32 = 200_000;
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
    /// Measure chat rooms over sockets
    Rooms(rooms::Options),
    /// Measure sockets: fan-out beside bare axum, and idle ones
    Sockets(sockets::Options),
    /// Measure the pages of the demo in Chromium
    Browser(browser::Options),
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
    /// Measure each read also with 5 % writes, which invalidate what the server has cached
    #[arg(long)]
    mixed: bool,
    /// How long the server rests after the load, before its memory is measured again, in seconds
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    rest: u32,
    /// The source of the Django peer, to compare with
    #[arg(long, value_name = "PATH", requires = "python")]
    peer: Option<PathBuf>,
    /// A Python interpreter with the packages that the peer requires
    #[arg(long, value_name = "PATH", requires = "peer")]
    python: Option<PathBuf>,
    /// Measure only the server, on a small database and on one that is ten times as large
    #[arg(long, conflicts_with_all = ["people", "groups", "posts", "no_flood", "mixed", "rest", "peer"])]
    growth: bool,
    /// With --growth, compare pages for people
    #[arg(long, requires = "growth", conflicts_with_all = ["deals", "messages"])]
    pages: bool,
    /// Number of deals, by default 10000; with --growth, compare an organization with 10000 deals with one that has
    /// this many
    #[arg(long, num_args = 0..=1, default_missing_value = "1000000", value_name = "DEALS")]
    deals: Option<u32>,
    /// Number of direct messages, by default 200000; with --growth, compare 100000 messages with this many
    #[arg(long, num_args = 0..=1, default_missing_value = "1000000", value_name = "MESSAGES")]
    messages: Option<u32>,
    /// Write the results as JSON to this file
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// Write the results as Markdown, and plots, to `performance` in this folder
    #[arg(long, value_name = "PATH")]
    docs: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match cli.command {
        Some(Command::Floor { database, bind }) => runtime.block_on(floor::serve(bind, database)),
        Some(Command::Rooms(options)) => runtime.block_on(async {
            let results = options.measure(program(options.server.as_deref())?).await?;
            publish(&results, options.json.as_deref(), options.docs.as_deref())
        }),
        Some(Command::Sockets(options)) => runtime.block_on(async {
            let results = options.measure(&program(options.server.as_deref())?).await?;
            publish(&results, options.json.as_deref(), options.docs.as_deref())
        }),
        Some(Command::Browser(options)) => runtime.block_on(async {
            let results = options.measure(&program(options.server.as_deref())?).await?;
            publish(&results, options.json.as_deref(), options.docs.as_deref())
        }),
        None => runtime.block_on(cli.run.bench()),
    }
}

/// The server's program: this one, or `guildhall` in the folder of this program.
fn program(path: Option<&Path>) -> anyhow::Result<PathBuf> {
    let path = match path {
        Some(path) => path.to_owned(),
        None => env::current_exe()?.with_file_name("guildhall"),
    };
    let missing = || format!("there is no server at {}; build it with `cargo build --release`", path.display());
    path.canonicalize().with_context(missing)
}

/// Prints and stores results.
fn publish<T: Results>(results: &T, json: Option<&Path>, docs: Option<&Path>) -> anyhow::Result<()> {
    let document = results.document();
    writeln!(io::stdout(), "{document}")?;
    if let Some(path) = json {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        serde_json::to_writer_pretty(file, results)?;
    }
    docs.map_or(Ok(()), |docs| document.write_to(docs))
}

impl Run {
    async fn bench(self) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let suffix = if self.growth { "small" } else { "floor" };
        let mut databases = Databases::choose(self.database.as_deref(), folder.path(), suffix).await?;
        if self.growth {
            let growth = self.grow(&databases, folder.path()).await;
            self.finish(&databases, growth).await
        } else {
            let report = Box::pin(self.measure(&mut databases, folder.path())).await;
            self.finish(&databases, report).await
        }
    }

    /// Cleans up, then prints and stores the results.
    async fn finish<T: Results>(&self, databases: &Databases, results: anyhow::Result<T>) -> anyhow::Result<()> {
        let cleanup = databases.drop_created().await;
        let results = results?;
        cleanup?;
        publish(&results, self.json.as_deref(), self.docs.as_deref())
    }

    async fn grow(&self, databases: &Databases, folder: &Path) -> anyhow::Result<Growth> {
        let (default, volumes): (&[Scenario], _) = match (self.deals, self.messages) {
            _ if self.pages => (&Scenario::PAGES, [growth::SMALL_PAGES, growth::LARGE_PAGES]),
            (Some(deals), _) => (&Scenario::DEALS, [growth::SMALL_DEALS, Volume { deals, ..growth::LARGE_DEALS }]),
            (None, Some(messages)) => {
                (&Scenario::MESSAGES, [growth::SMALL_MESSAGES, Volume { messages, ..growth::LARGE_MESSAGES }])
            }
            (None, None) => (&growth::SCENARIOS, [growth::SMALL, growth::LARGE]),
        };
        let (program, scenarios) = (program(self.server.as_deref())?, self.scenarios(default));
        let (connections, plan) = (self.connections, self.plan());
        let setup = Setup { program: &program, folder, scenarios: &scenarios, connections, plan, volumes };
        setup.measure(databases).await
    }

    async fn measure(&self, databases: &mut Databases, folder: &Path) -> anyhow::Result<Report> {
        let program = program(self.server.as_deref())?;
        let deals = self.deals.unwrap_or(DEALS);
        let messages = self.messages.unwrap_or(MESSAGES);
        let volume = Volume { people: self.people, groups: self.groups, posts: self.posts, deals, messages };
        let hash = fill::password_hash(HashCost::default())?;
        let mut database = String::new();
        for url in [&databases.second, &databases.first] {
            process::migrate(&program, folder, url)?;
            database = fill::fill_at(url, volume, &hash).await?;
        }
        let scenarios = self.scenarios(&Scenario::ALL);
        let mut physical = Vec::new();
        if let Some(file) = sqlite_file(&databases.first) {
            writeln!(io::stderr(), "physical floor …")?;
            physical = Box::pin(physical::measure(&file, folder, volume, &scenarios)).await?;
        }
        let peer = self.start_peer(databases, folder, volume).await?;
        let on_peer = match &peer {
            Some(peer) => Some((peer.target().await?, peer.pids())),
            None => None,
        };
        let server = Process::server(&program, folder, &databases.first).await?;
        let floor = Process::floor(folder, &databases.second).await?;
        let start = server.memory()?;
        let on_server = Target::sign_in(server.address(), self.connections, volume).await?;
        let on_floor = Target::sign_in(floor.address(), self.connections, volume).await?;
        let servers = Servers {
            server: (&on_server, server.pid()),
            floor: (&on_floor, floor.pid()),
            peer: on_peer.as_ref().map(|(target, pids)| (target, pids.as_slice())),
        };

        let healthz = self.healthz(&server).await?;
        let mut lines = Vec::new();
        for scenario in &scenarios {
            writeln!(io::stderr(), "{} …", scenario.name())?;
            let mut line = servers.compare(*scenario, self.plan()).await?;
            let physical = physical.iter().find(|(measured, _)| measured == scenario);
            let (server_us, healthz_us) = (line.server.load.cost.cpu_us, healthz.cost.cpu_us);
            line.physical = physical.map(|(_, physical)| physical.beside(*scenario, server_us, healthz_us));
            lines.push(line);
        }
        let mut mixed = Vec::new();
        for scenario in scenarios.iter().filter(|_| self.mixed) {
            writeln!(io::stderr(), "{}, mixed …", scenario.name())?;
            mixed.extend(servers.mix(*scenario, self.plan()).await?);
        }
        let loaded = server.memory()?;
        drop((floor, on_peer, peer));
        let rested = if self.rest > 0 { Some(self.rest(&server).await?) } else { None };
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
            healthz,
            lines,
            mixed,
            memory: MemoryCourse { start, loaded, rested, rest_seconds: self.rest },
            flood,
        })
    }

    async fn start_peer(
        &self,
        databases: &mut Databases,
        folder: &Path,
        volume: Volume,
    ) -> anyhow::Result<Option<Peer>> {
        let Some((source, python)) = self.peer.as_deref().zip(self.python.as_deref()) else { return Ok(None) };
        writeln!(io::stderr(), "peer …")?;
        let database = databases.another("peer").await?;
        Peer::start(folder, source, python, volume, database.as_deref(), self.connections).await.map(Some)
    }

    /// Measures `GET /healthz`: what HTTP and the middleware need.
    async fn healthz(&self, server: &Process) -> anyhow::Result<Load> {
        writeln!(io::stderr(), "healthz …")?;
        let mut clients = Vec::new();
        for _ in 0..self.connections {
            let source = RequestSource::same(get("/healthz", None)?);
            clients.push(Client::open(server.address(), source, StatusCode::OK).await?);
        }
        let mut subject = Subject::new(clients, &[server.pid()]);
        subject.warm_up().await?;
        for _ in 0..self.runs {
            subject.run(self.length()).await?;
        }
        Ok(subject.load())
    }

    /// Lets the server rest. Returns its memory usage after that.
    async fn rest(&self, server: &Process) -> anyhow::Result<Memory> {
        writeln!(io::stderr(), "rest …")?;
        tokio::time::sleep(Duration::from_secs(self.rest.into())).await;
        server.memory()
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
