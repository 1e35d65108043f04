//! The peer: earlier back ends with the same functions, written with Django. Their source is not part of this
//! repository.

use std::{
    env, fs,
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use hyper::StatusCode;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    client::{Wire, get},
    fill::Volume,
    messages::{self, Conversations},
};

mod sockets;
mod target;

pub(crate) use sockets::SocketPeer;
pub use target::PeerTarget;

/// How long the peer may take to become ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How often readiness is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Number of gunicorn workers, a setting of the peer.
const WORKERS: usize = 2;
/// Number of clients. From 200 on, the peer would divide the deals between several organizations.
const CLIENT_COUNT: &str = "199";
/// A long time in minutes: tokens are issued once for a whole run.
const ACCESS_MINUTES: &str = "1440";
/// Updates the statistics of the query planner, as for the server.
const ANALYZE: &str = "from django.db import connection as c; \
    c.cursor().execute('ANALYZE' if c.vendor == 'sqlite' else 'VACUUM ANALYZE')";

/// The peer, served by gunicorn on a database of its own; killed on drop.
pub struct Peer {
    master: Child,
    address: SocketAddr,
    volume: Volume,
    connections: u32,
}

impl Peer {
    /// Migrates and fills an empty database, and serves it to this number of connections.
    ///
    /// `source` is the folder with `manage.py`, `python` an interpreter with the packages that it requires. `database`
    /// is the URL of a PostgreSQL database; without it the peer has an SQLite file in `folder`.
    ///
    /// # Errors
    /// Among others, if there are too few users for the connections: half of them can sign in.
    pub async fn start(
        folder: &Path,
        source: &Path,
        python: &Path,
        volume: Volume,
        database: Option<&str>,
        connections: u32,
    ) -> anyhow::Result<Self> {
        ensure!(connections <= volume.people / 2, "only half of the {} users can sign in to the peer", volume.people);
        let place = Place::new(folder, source, python, database)?;
        place.manage(&["migrate".to_owned()])?;
        place.manage(&seeding(volume))?;
        if volume.messages > 0 {
            place.manage(&["shell".to_owned(), "-c".to_owned(), messages(volume)])?;
        }
        place.manage(&["shell".to_owned(), "-c".to_owned(), ANALYZE.to_owned()])?;

        let address = free_address()?;
        let mut command = place.python();
        command.args(["-m", "gunicorn", "core.wsgi:application", "-c", "deploy/gunicorn.py"]);
        command.env("PEER_BIND", address.to_string()).env("PEER_ACCESS_MINUTES", ACCESS_MINUTES);
        // The limit for each worker, which keeps two connections less alive: with a higher one, a worker accepts more
        // than half of the connections, often all of them.
        command.env("PEER_CONNECTIONS", (connections.div_ceil(2) + 2).to_string());
        let log = place.folder.join("peer.log");
        command.stderr(File::create(&log)?);
        let master = command.spawn().with_context(|| format!("cannot start {}", place.python.display()))?;
        let mut peer = Self { master, address, volume, connections };
        peer.wait(&log).await?;
        Ok(peer)
    }

    async fn wait(&mut self, log: &Path) -> anyhow::Result<()> {
        let start = Instant::now();
        while self.pids().len() <= WORKERS || !is_ready(self.address).await {
            if let Some(status) = self.master.try_wait()? {
                bail!("the peer exited before it was ready: {status}\n{}", fs::read_to_string(log)?.trim());
            }
            ensure!(start.elapsed() < READY_TIMEOUT, "the peer did not become ready in time");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its processes: the master, which comes first, and the workers.
    pub fn pids(&self) -> Vec<u32> {
        children(self.master.id())
    }

    /// Signs in a user for each connection and prepares what the scenarios need.
    pub async fn target(&self) -> anyhow::Result<PeerTarget> {
        PeerTarget::prepare(self.address, self.connections, self.volume).await
    }
}

impl Drop for Peer {
    // The peer stays in the process group of this program, so that it also ends with Ctrl-C.
    fn drop(&mut self) {
        kill(&mut self.master);
    }
}

/// A process and its children.
fn children(master: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap_or_default();
    let workers = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    [master].into_iter().chain(workers).collect()
}

/// Kills a process and its children.
fn kill(master: &mut Child) {
    let pids = children(master.id());
    // The master first: it would replace its workers.
    let _ = master.kill();
    let _ = master.wait();
    for worker in pids.iter().skip(1).filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
        let _ = kill_process(worker, Signal::KILL);
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Where the peer is, and its environment.
pub(crate) struct Place {
    folder: PathBuf,
    source: PathBuf,
    python: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl Place {
    pub(crate) fn new(folder: &Path, source: &Path, python: &Path, database: Option<&str>) -> anyhow::Result<Self> {
        let folder = folder.canonicalize()?;
        let source = source.canonicalize().with_context(|| format!("there is no folder {}", source.display()))?;
        ensure!(source.join("manage.py").is_file(), "there is no manage.py in {}", source.display());
        // Links must not be resolved, because a virtual environment is known by the path of its interpreter.
        let python = if python.components().count() > 1 { std::path::absolute(python)? } else { python.to_owned() };
        let variables = match database {
            Some(url) => postgres(url)?,
            None => vec![("PEER_DATABASE_URL", format!("sqlite://{}", folder.join("peer.db").display()))],
        };
        Ok(Self { folder, source, python, variables })
    }

    /// Runs a command of `manage.py`. Returns what it prints.
    pub(crate) fn manage(&self, arguments: &[String]) -> anyhow::Result<String> {
        let mut command = self.python();
        command.arg("manage.py").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.output();
        let output = output.with_context(|| format!("cannot start {}", self.python.display()))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the peer's {} failed: {}", arguments[0], errors.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Python in the peer's folder, with no settings but ours. It writes files only to our folder.
    fn python(&self) -> Command {
        let mut command = Command::new(&self.python);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("PEER_") {
                command.env_remove(name);
            }
        }
        command.env_remove("DJANGO_SETTINGS_MODULE").env_remove("GUNICORN_CMD_ARGS");
        command.env("PYTHONPYCACHEPREFIX", self.folder.join("pycache"));
        command.env("PEER_MEDIA_ROOT", self.folder.join("media"));
        command.env("XDG_RUNTIME_DIR", &self.folder); // for gunicorn's control socket
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.source).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

/// Sizes of the peer's data. What is not measured is small.
fn seeding(volume: Volume) -> Vec<String> {
    let Volume { people, groups, posts, deals, messages: _ } = volume;
    let sizes = format!(
        "seed_data --users {people} --groups {groups} --posts {posts} --clients {CLIENT_COUNT} --deals {deals} \
         --payments {deals} --messages 40 --room-messages 100"
    );
    sizes.split_whitespace().map(str::to_owned).collect()
}

/// A script that creates the same conversations as on the server: those of the command for sample data have few
/// messages with many people.
fn messages(volume: Volume) -> String {
    let Conversations { count, length, busy, others } = volume.conversations();
    format!(
        r#"
from datetime import timedelta
from django.utils import timezone
from accounts.models import User
from messaging.models import Message

Message.objects.all().delete()
ids = list(User.objects.order_by("pk").values_list("pk", flat=True))
pairs = [(ids[i % {busy}], ids[{busy} + (i // {busy} + i % {busy} * {spacing}) % {others}]) for i in range({count})]
start = timezone.now() - timedelta(seconds={count} * {length})

def row(j):
    i, no = j % {count}, j // {count} + 1
    pair = pairs[i] if no % 2 else pairs[i][::-1]
    moment = start + timedelta(seconds=j)
    is_read = not (i % 4 == 0 and no > {length} - 4)
    return Message(sender_id=pair[0], receiver_id=pair[1], content={text:?} + str(j), timestamp=moment,
                   is_read=is_read, read_at=moment if is_read else None)

for first in range(0, {count} * {length}, 5000):
    Message.objects.bulk_create(row(j) for j in range(first, min(first + 5000, {count} * {length})))
"#,
        spacing = messages::SPACING,
        text = messages::TEXT,
    )
}

/// The variables for a PostgreSQL database. The peer does not know the parameter `host`, the folder of a socket.
fn postgres(url: &str) -> anyhow::Result<Vec<(&'static str, String)>> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let Some(host) = query.split('&').find_map(|parameter| parameter.strip_prefix("host=")) else {
        return Ok(vec![("PEER_DATABASE_URL", base.to_owned())]);
    };
    let rest = base.split_once("://").context("the URL must begin with postgres://")?.1;
    let (server, name) = rest.split_once('/').context("the URL has no database name")?;
    let (user, server) = server.rsplit_once('@').unwrap_or(("", server));
    let port = server.find(':').map_or("", |start| &server[start..]);
    Ok(vec![("PEER_DATABASE_URL", format!("postgres://{user}@{port}/{name}")), ("PGHOST", host.to_owned())])
}

async fn is_ready(address: SocketAddr) -> bool {
    health(address).await.is_ok_and(|status| status == StatusCode::OK)
}

async fn health(address: SocketAddr) -> anyhow::Result<StatusCode> {
    Wire::open(address).await?.send(get("/healthz", None)?).await
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tokio::task::JoinSet;

    use super::*;
    use crate::{client::Client, scenario::Scenario};

    const VOLUME: Volume = Volume { people: 120, groups: 120, posts: 1_000, deals: 200, messages: 600 };
    /// The scenarios that are about something the peer does not have.
    const MISSING: [Scenario; 6] = [
        Scenario::DealsByValue,
        Scenario::DealSearch,
        Scenario::SearchAll,
        Scenario::Board,
        Scenario::PipelineReport,
        Scenario::Revenue,
    ];
    const LISTS: [Scenario; 8] = [
        Scenario::Users,
        Scenario::Groups,
        Scenario::GlobalFeed,
        Scenario::Feed,
        Scenario::Home,
        Scenario::SearchCommon,
        Scenario::Deals,
        Scenario::DealsFiltered,
    ];

    /// A request of each client, all at the same time: a connection without a request would occupy a thread of the
    /// peer.
    async fn sample(scenario: Scenario, clients: &mut Vec<Client>) -> Vec<Value> {
        let mut requests = JoinSet::new();
        for mut client in clients.drain(..) {
            requests.spawn(async move {
                let body = client.sample().await.unwrap_or_else(|error| panic!("{scenario:?}: {error:#}"));
                (body, client)
            });
        }
        let (bodies, returned): (_, Vec<_>) = requests.join_all().await.into_iter().unzip();
        clients.extend(returned);
        bodies
    }

    #[tokio::test]
    async fn the_peer_responds_to_each_scenario() {
        // Without the peer there is nothing to test.
        let path = |name: &str| env::var_os(name).map(PathBuf::from);
        let Some((source, python)) = path("GUILDHALL_PEER").zip(path("GUILDHALL_PEER_PYTHON")) else { return };
        let database = env::var("GUILDHALL_PEER_DATABASE").ok();
        let folder = tempfile::tempdir().unwrap();
        let peer = Peer::start(folder.path(), &source, &python, VOLUME, database.as_deref(), 8).await.unwrap();
        assert_eq!(peer.pids().len(), 1 + WORKERS);
        let target = peer.target().await.unwrap();

        for scenario in Scenario::ALL.into_iter().chain(Scenario::DEALS) {
            let Some(mut clients) = target.clients(scenario).await.unwrap() else {
                assert!(MISSING.contains(&scenario), "{scenario:?}");
                continue;
            };
            assert!(!MISSING.contains(&scenario), "{scenario:?}");
            assert_eq!(clients.len(), 8);
            // Twice, because everything that changes something must be able to do it again.
            for _ in 0..2 {
                for body in sample(scenario, &mut clients).await {
                    let expected = match scenario {
                        Scenario::Search | Scenario::SearchUncommon => Some(1),
                        _ if LISTS.contains(&scenario) => Some(20),
                        _ => None,
                    };
                    assert_eq!(body["results"].as_array().map(Vec::len), expected, "{scenario:?}: {body}");
                }
            }
        }
        let pids = peer.pids();
        drop(peer);
        let start = Instant::now();
        while pids.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
            assert!(start.elapsed() < READY_TIMEOUT, "{pids:?} still exist");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    #[test]
    fn the_folder_of_a_socket_becomes_a_variable() {
        let url = |text: &str| ("PEER_DATABASE_URL", text.to_owned());
        assert_eq!(postgres("postgres://me:x@db:5433/bench").unwrap(), [url("postgres://me:x@db:5433/bench")]);
        let host = ("PGHOST", "/tmp/socket".to_owned());
        let variables = postgres("postgres://me@localhost:5433/bench?host=/tmp/socket").unwrap();
        assert_eq!(variables, [url("postgres://me@:5433/bench"), host]);
    }
}
