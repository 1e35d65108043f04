//! Measurements of a scenario.

use std::{
    io::{self, Write},
    mem,
    time::Duration,
};

use anyhow::ensure;
use serde_json::Value;

use crate::{
    client::Client,
    figures::{Latency, Spread},
    load,
    peer::PeerTarget,
    report::{Line, Load, Mixed, PeerLine, PeerResult, Side},
    scenario::Scenario,
    target::Target,
    usage::{Cost, Usage},
};

/// How long a server is warmed up before it is measured.
const WARM_UP: Duration = Duration::from_secs(1);
/// The latency is measured at this fraction of the throughput.
const LATENCY_LOAD: f64 = 0.5;

/// Number and length of the runs of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Number of runs on each server.
    pub runs: u32,
    /// Length of a run.
    pub length: Duration,
}

/// The servers that are compared, with their process ids.
#[derive(Clone, Copy)]
pub struct Servers<'a> {
    /// The server.
    pub server: (&'a Target, u32),
    /// The floor.
    pub floor: (&'a Target, u32),
    /// The peer, which has several processes.
    pub peer: Option<(&'a PeerTarget, &'a [u32])>,
}

/// Clients that load a server, and what they have measured.
pub struct Subject {
    clients: Vec<Client>,
    pids: Vec<u32>,
    rates: Vec<f64>,
    costs: Vec<Cost>,
    refused: u32,
}

impl Subject {
    /// Clients of the server with these processes.
    pub fn new(clients: Vec<Client>, pids: &[u32]) -> Self {
        Self { clients, pids: pids.to_vec(), rates: Vec::new(), costs: Vec::new(), refused: 0 }
    }

    /// Warms the server up.
    pub async fn warm_up(&mut self) -> anyhow::Result<()> {
        load::closed(&mut self.clients, WARM_UP).await.map(drop)
    }

    /// Runs a closed loop.
    pub async fn run(&mut self, length: Duration) -> anyhow::Result<()> {
        let before = Usage::of(&self.pids)?;
        let run = load::closed(&mut self.clients, length).await?;
        self.costs.push(Usage::of(&self.pids)?.cost_since(&before, run.answered));
        self.rates.push(run.rate);
        self.refused += run.refused;
        Ok(())
    }

    /// The result of the closed loops.
    pub fn load(&self) -> Load {
        let per_second = Spread::of(self.rates.clone());
        Load { per_second, cost: Cost::lowest(&self.costs), refused: self.refused }
    }

    /// Measures the latency at half of the throughput.
    pub async fn side(mut self, plan: Plan) -> anyhow::Result<Side> {
        let load = self.load();
        let (mut p50, mut p99) = (Vec::new(), Vec::new());
        for _ in 0..plan.runs {
            let rate = load.per_second.median * LATENCY_LOAD;
            let latency = Latency::of(&load::open(&mut self.clients, rate, plan.length).await?);
            p50.push(latency.p50);
            p99.push(latency.p99);
        }
        Ok(Side { load, p50_ms: Spread::of(p50), p99_ms: Spread::of(p99) })
    }
}

/// Measures a scenario without anything to compare with.
pub async fn alone(mut subject: Subject, plan: Plan) -> anyhow::Result<Side> {
    subject.warm_up().await?;
    for _ in 0..plan.runs {
        subject.run(plan.length).await?;
    }
    subject.side(plan).await
}

impl Servers<'_> {
    /// Measures a scenario on all servers. The runs alternate, so that disturbances affect all of them.
    ///
    /// # Errors
    /// Among others, if the response of the floor has a different structure than that of the server.
    pub async fn compare(&self, scenario: Scenario, plan: Plan) -> anyhow::Result<Line> {
        let (server, server_pid) = self.server;
        let name = scenario.name();
        let mut floor = self.floor_subject(scenario).await?;
        let mut server = Subject::new(server.clients(scenario).await?, &[server_pid]);
        let mut peer = self.peer_subject(scenario).await;
        server.warm_up().await?;
        if let Some(floor) = &mut floor {
            floor.warm_up().await?;
        }
        for _ in 0..plan.runs {
            server.run(plan.length).await?;
            if let Some(floor) = &mut floor {
                floor.run(plan.length).await?;
            }
            if let Ok(Some(subject)) = &mut peer
                && let Err(error) = subject.run(plan.length).await
            {
                peer = Err(error);
            }
        }
        let (server, floor) = (server.side(plan).await?, floor.map(|floor| floor.load()));
        let peer = match peer {
            Ok(Some(subject)) => subject.side(plan).await.map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        let rate = server.load.per_second.median;
        let peer = match peer {
            Ok(side) => side.map(|side| {
                let ratio = rate / side.load.per_second.median;
                PeerResult::Measured(PeerLine { side, ratio })
            }),
            // The run goes on, because it is not about the peer.
            Err(error) => {
                writeln!(io::stderr(), "{name}: the peer failed: {error:#}")?;
                Some(PeerResult::Failed { error: format!("{error:#}") })
            }
        };
        let ratio = floor.map(|floor| rate / floor.per_second.median);
        Ok(Line { scenario, server, floor, ratio, physical: None, peer })
    }

    /// The floor, if it has the scenario.
    async fn floor_subject(&self, scenario: Scenario) -> anyhow::Result<Option<Subject>> {
        if !scenario.has_floor() {
            return Ok(None);
        }
        let ((server, _), (floor, pid)) = (self.server, self.floor);
        let (actual, expected) = (floor.sample(scenario).await?, server.sample(scenario).await?);
        ensure!(
            same_structure(&actual, &expected),
            "{}: the floor responds with {actual}, the server with {expected}",
            scenario.name()
        );
        Ok(Some(Subject::new(floor.clients(scenario).await?, &[pid])))
    }

    /// The warmed up peer, if it has the scenario.
    async fn peer_subject(&self, scenario: Scenario) -> anyhow::Result<Option<Subject>> {
        let Some((peer, pids)) = self.peer else { return Ok(None) };
        let Some(clients) = peer.clients(scenario).await? else { return Ok(None) };
        let mut subject = Subject::new(clients, pids);
        subject.warm_up().await?;
        Ok(Some(subject))
    }

    /// Measures a read on the server alone and mixed with writes, in alternating runs; `None` for other scenarios.
    pub async fn mix(&self, scenario: Scenario, plan: Plan) -> anyhow::Result<Option<Mixed>> {
        let (server, pid) = self.server;
        let Some(mixed) = server.mixed_clients(scenario).await? else { return Ok(None) };
        let (mut pure, mut mixed) =
            (Subject::new(server.clients(scenario).await?, &[pid]), Subject::new(mixed, &[pid]));
        pure.warm_up().await?;
        mixed.warm_up().await?;
        for _ in 0..plan.runs {
            pure.run(plan.length).await?;
            mixed.run(plan.length).await?;
        }
        let (pure, mixed) = (pure.load(), mixed.load());
        let ratio = mixed.per_second.median / pure.per_second.median;
        Ok(Some(Mixed { scenario, pure, mixed, ratio }))
    }
}

/// Whether two responses have the same members, regardless of their values. `null` matches everything, and lists are
/// compared by their first item.
fn same_structure(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Null, _) | (_, Value::Null) => true,
        (Value::Object(one), Value::Object(other)) => {
            let same =
                |(key, value): (&String, &Value)| other.get(key).is_some_and(|known| same_structure(value, known));
            one.len() == other.len() && one.iter().all(same)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.first().zip(other.first()).is_none_or(|(one, other)| same_structure(one, other))
        }
        _ => mem::discriminant(one) == mem::discriminant(other),
    }
}

#[cfg(test)]
mod tests {
    use guildhall_accounts::HashCost;
    use guildhall_gateway::{Server, Services, Settings, Sources};
    use guildhall_kernel::testing::TestDb;
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;
    use crate::{
        client::WRITE_INTERVAL,
        fill::{Volume, fill_at, password_hash},
        floor,
    };

    const VOLUME: Volume = Volume { people: 30, groups: 30, posts: 400, deals: 60, messages: 600 };

    async fn server(url: &str) -> Server {
        let variables = [
            ("GUILDHALL__SERVER__BIND", "127.0.0.1:0"),
            ("GUILDHALL__DATABASE__URL", url),
            ("GUILDHALL__LIMITS__ENABLED", "false"),
            ("GUILDHALL__ACCOUNTS__HASH__MEMORY_KIB", "64"),
            ("GUILDHALL__ACCOUNTS__HASH__PASSES", "1"),
        ];
        let variables = variables.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let settings = Settings::load(&Sources { variables, ..Sources::default() }).unwrap();
        let services = Services::open(&settings, true).await.unwrap();
        Server::start(&settings, services).await.unwrap()
    }

    async fn database() -> TestDb {
        let db = TestDb::with_connections(guildhall_migration::all, 2).await;
        let hash = password_hash(HashCost { memory_kib: 64, passes: 1, lanes: 1 }).unwrap();
        fill_at(db.url(), VOLUME, &hash).await.unwrap();
        db
    }

    #[tokio::test]
    async fn the_floor_does_the_same_work_as_the_server() {
        let (db, floor_db) = (database().await, database().await);
        let server = server(db.url()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(floor::serve_on(listener, floor_db.url().to_owned()));

        let on_server = Target::sign_in(server.address(), 2, VOLUME).await.unwrap();
        let on_floor = Target::sign_in(address, 2, VOLUME).await.unwrap();
        for scenario in Scenario::ALL.into_iter().filter(|scenario| scenario.has_floor()) {
            let expected = on_server.sample(scenario).await.unwrap();
            let actual = on_floor.sample(scenario).await.unwrap();
            assert!(same_structure(&actual, &expected), "{scenario:?}: the floor {actual}, the server {expected}");
            let mut clients = on_floor.clients(scenario).await.unwrap();
            let length = Duration::from_millis(50);
            assert!(load::closed(&mut clients, length).await.unwrap().rate > 0.0, "{scenario:?}");
            assert!(!load::open(&mut clients, 100.0, length).await.unwrap().is_empty(), "{scenario:?}");
            assert_eq!(clients.len(), 2);
        }
        for scenario in Scenario::ALL {
            let Some(mut clients) = on_server.mixed_clients(scenario).await.unwrap() else { continue };
            for client in &mut clients {
                for _ in 0..WRITE_INTERVAL {
                    assert!(client.ask().await.unwrap(), "{scenario:?}");
                }
            }
        }
    }

    #[test]
    fn responses_with_different_members_have_a_different_structure() {
        let response = json!({"results": [{"id": 1, "name": "x"}], "next": null});
        assert!(same_structure(&response, &json!({"results": [{"id": 2, "name": "y"}, {}], "next": "z"})));
        assert!(same_structure(&response, &json!({"results": [], "next": null})));
        for other in [
            json!({"results": [{"id": 1}], "next": null}),
            json!({"results": [{"id": "1", "name": "x"}], "next": null}),
            json!({"results": [{"id": 1, "name": "x"}], "next": null, "count": 1}),
            json!([]),
        ] {
            assert!(!same_structure(&response, &other), "{other}");
        }
    }
}
