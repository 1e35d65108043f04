//! What is asked of the server and of its floor alike.

use std::{
    mem,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use anyhow::ensure;
use clap::ValueEnum;
use hyper::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::{
    client::{Act, Client, TokenPair, Wire, get, sign_in},
    load,
    report::{Latency, Line, Spread},
};

/// How long both sides run before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);
/// At which part of the throughput the latency is measured.
const LOAD: f64 = 0.5;

/// A sort of request, made by every connection for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// Signing in, each connection as somebody else
    SignIn,
    /// Refreshing, each connection its own chain of tokens
    Refresh,
    /// The account of whoever asks
    Me,
    /// The first 20 people
    Users,
    /// The newest 20 groups
    Groups,
    /// Making groups, which are stored for good
    CreateGroup,
}

impl Scenario {
    /// Every scenario. The one that makes groups is the last, so that the lists keep their size.
    pub const ALL: [Self; 6] = [Self::SignIn, Self::Refresh, Self::Me, Self::Users, Self::Groups, Self::CreateGroup];

    /// What is asked, in short.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign in",
            Self::Refresh => "refresh",
            Self::Me => "own account",
            Self::Users => "20 people",
            Self::Groups => "20 groups",
            Self::CreateGroup => "make a group",
        }
    }
}

/// Something that serves, and people who are signed in on it.
pub struct Target {
    address: SocketAddr,
    people: Vec<TokenPair>,
    names: Arc<AtomicU32>,
}

impl Target {
    /// Signs in one person for each connection that there will be.
    pub async fn sign_in(address: SocketAddr, connections: u32) -> anyhow::Result<Self> {
        let mut people = Vec::new();
        for person in 0..connections {
            people.push(enter(address, person).await?);
        }
        Ok(Self { address, people, names: Arc::new(AtomicU32::new(1)) })
    }

    /// A client for each person.
    pub async fn clients(&self, scenario: Scenario) -> anyhow::Result<Vec<Client>> {
        let mut clients = Vec::new();
        for (number, tokens) in (0..).zip(&self.people) {
            clients.push(self.client(scenario, number, tokens).await?);
        }
        Ok(clients)
    }

    /// One answer.
    pub async fn sample(&self, scenario: Scenario) -> anyhow::Result<Value> {
        // With tokens of its own: a refresh token can be used once.
        let tokens = enter(self.address, 0).await?;
        self.client(scenario, 0, &tokens).await?.sample().await
    }

    async fn client(&self, scenario: Scenario, person: u32, tokens: &TokenPair) -> anyhow::Result<Client> {
        let access = Some(tokens.access.as_str());
        let (act, expected) = match scenario {
            Scenario::SignIn => (Act::same(sign_in(person)?), StatusCode::OK),
            Scenario::Refresh => (Act::Refresh(tokens.refresh.clone()), StatusCode::OK),
            Scenario::Me => (Act::same(get("/api/auth/me/", access)?), StatusCode::OK),
            Scenario::Users => (Act::same(get("/api/users/?page_size=20", access)?), StatusCode::OK),
            Scenario::Groups => (Act::same(get("/api/community/groups/?page_size=20", access)?), StatusCode::OK),
            Scenario::CreateGroup => {
                let act = Act::CreateGroup { access: tokens.access.clone(), names: self.names.clone() };
                (act, StatusCode::CREATED)
            }
        };
        Client::open(self.address, act, expected).await
    }
}

/// Signs a person in.
async fn enter(address: SocketAddr, person: u32) -> anyhow::Result<TokenPair> {
    let (status, body) = Wire::open(address).await?.fetch(sign_in(person)?).await?;
    ensure!(status == StatusCode::OK, "a sign-in was answered with {status}: {}", String::from_utf8_lossy(&body));
    Ok(serde_json::from_slice(&body)?)
}

/// How often and how long a scenario is run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many times on each side.
    pub runs: u32,
    /// How long each time.
    pub length: Duration,
}

/// Measures both sides of a scenario, turn by turn, so that a noisy neighbour is a neighbour of both.
///
/// # Errors
/// Also where the floor answers in another shape than the server: then it does other work.
pub async fn measure(scenario: Scenario, server: &Target, floor: &Target, plan: Plan) -> anyhow::Result<Line> {
    let (answer, expected) = (floor.sample(scenario).await?, server.sample(scenario).await?);
    let name = scenario.name();
    ensure!(alike(&answer, &expected), "{name}: the floor answers {answer}, where the server answers {expected}");

    let (mut on_server, mut on_floor) = (server.clients(scenario).await?, floor.clients(scenario).await?);
    load::closed(&mut on_server, WARM_UP).await?;
    load::closed(&mut on_floor, WARM_UP).await?;
    let (mut rates, mut floor_rates, mut refused) = (Vec::new(), Vec::new(), 0);
    for _ in 0..plan.runs {
        let run = load::closed(&mut on_server, plan.length).await?;
        rates.push(run.rate);
        refused += run.refused;
        floor_rates.push(load::closed(&mut on_floor, plan.length).await?.rate);
    }
    let (rate, floor_rate) = (Spread::of(rates), Spread::of(floor_rates));

    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..plan.runs {
        let latency = Latency::of(&load::open(&mut on_server, rate.median * LOAD, plan.length).await?);
        p50.push(latency.p50);
        p99.push(latency.p99);
    }
    let ratio = rate.median / floor_rate.median;
    let (p50_ms, p99_ms) = (Spread::of(p50), Spread::of(p99));
    Ok(Line { scenario, server_per_second: rate, floor_per_second: floor_rate, ratio, p50_ms, p99_ms, refused })
}

/// Do two answers have the same members, whatever their values? What is absent may be of any kind, and
/// a list is known by its first item.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Null, _) | (_, Value::Null) => true,
        (Value::Object(one), Value::Object(other)) => {
            let same = |(key, value): (&String, &Value)| other.get(key).is_some_and(|known| alike(value, known));
            one.len() == other.len() && one.iter().all(same)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.first().zip(other.first()).is_none_or(|(one, other)| alike(one, other))
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
        fill::{Volume, fill, password_hash},
        floor,
    };

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
        fill(&db, Volume { people: 30, groups: 30 }, &hash).await.unwrap();
        db
    }

    #[tokio::test]
    async fn the_floor_does_the_same_work_as_the_server() {
        let (db, floor_db) = (database().await, database().await);
        let server = server(db.url()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(floor::serve_on(listener, floor_db.url().to_owned()));

        let on_server = Target::sign_in(server.address(), 2).await.unwrap();
        let on_floor = Target::sign_in(address, 2).await.unwrap();
        for scenario in Scenario::ALL {
            let expected = on_server.sample(scenario).await.unwrap();
            let answer = on_floor.sample(scenario).await.unwrap();
            assert!(alike(&answer, &expected), "{scenario:?}: the floor {answer}, the server {expected}");
            let mut clients = on_floor.clients(scenario).await.unwrap();
            let length = Duration::from_millis(50);
            assert!(load::closed(&mut clients, length).await.unwrap().rate > 0.0, "{scenario:?}");
            assert!(!load::open(&mut clients, 100.0, length).await.unwrap().is_empty(), "{scenario:?}");
            assert_eq!(clients.len(), 2);
        }
    }

    #[test]
    fn answers_are_told_apart_by_their_members() {
        let answer = json!({"results": [{"id": 1, "name": "x"}], "next": null});
        assert!(alike(&answer, &json!({"results": [{"id": 2, "name": "y"}, {}], "next": "z"})));
        assert!(alike(&answer, &json!({"results": [], "next": null})));
        for other in [
            json!({"results": [{"id": 1}], "next": null}),
            json!({"results": [{"id": "1", "name": "x"}], "next": null}),
            json!({"results": [{"id": 1, "name": "x"}], "next": null, "count": 1}),
            json!([]),
        ] {
            assert!(!alike(&answer, &other), "{other}");
        }
    }
}
