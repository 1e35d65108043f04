//! Measurements of a scenario.

use std::{mem, time::Duration};

use anyhow::ensure;
use serde_json::Value;

use crate::{
    client::Client,
    load,
    report::{Latency, Line, Side, Spread},
    scenario::Scenario,
    target::Target,
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

/// Measures a scenario on both servers. The runs alternate, so that disturbances affect both.
///
/// # Errors
/// Among others, if the response of the floor has a different structure than that of the server.
pub async fn with_floor(scenario: Scenario, server: &Target, floor: &Target, plan: Plan) -> anyhow::Result<Line> {
    let (actual, expected) = (floor.sample(scenario).await?, server.sample(scenario).await?);
    let name = scenario.name();
    ensure!(same_structure(&actual, &expected), "{name}: the floor responds with {actual}, the server with {expected}");

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
    let (p50_ms, p99_ms) = latency(&mut on_server, rate.median * LATENCY_LOAD, plan).await?;
    let ratio = rate.median / floor_rate.median;
    Ok(Line { scenario, server_per_second: rate, floor_per_second: floor_rate, ratio, p50_ms, p99_ms, refused })
}

/// Measures a scenario without a floor.
pub async fn alone(scenario: Scenario, server: &Target, plan: Plan) -> anyhow::Result<Side> {
    let mut clients = server.clients(scenario).await?;
    load::closed(&mut clients, WARM_UP).await?;
    let (mut rates, mut refused) = (Vec::new(), 0);
    for _ in 0..plan.runs {
        let run = load::closed(&mut clients, plan.length).await?;
        rates.push(run.rate);
        refused += run.refused;
    }
    let per_second = Spread::of(rates);
    let (p50_ms, p99_ms) = latency(&mut clients, per_second.median * LATENCY_LOAD, plan).await?;
    Ok(Side { per_second, p50_ms, p99_ms, refused })
}

/// The p50 and p99 latency at a request rate.
async fn latency(clients: &mut Vec<Client>, rate: f64, plan: Plan) -> anyhow::Result<(Spread, Spread)> {
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..plan.runs {
        let latency = Latency::of(&load::open(clients, rate, plan.length).await?);
        p50.push(latency.p50);
        p99.push(latency.p99);
    }
    Ok((Spread::of(p50), Spread::of(p99)))
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
        fill::{Volume, fill_at, password_hash},
        floor,
    };

    const VOLUME: Volume = Volume { people: 30, groups: 30, posts: 400, deals: 60 };

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
        for scenario in Scenario::ALL {
            let expected = on_server.sample(scenario).await.unwrap();
            let actual = on_floor.sample(scenario).await.unwrap();
            assert!(same_structure(&actual, &expected), "{scenario:?}: the floor {actual}, the server {expected}");
            let mut clients = on_floor.clients(scenario).await.unwrap();
            let length = Duration::from_millis(50);
            assert!(load::closed(&mut clients, length).await.unwrap().rate > 0.0, "{scenario:?}");
            assert!(!load::open(&mut clients, 100.0, length).await.unwrap().is_empty(), "{scenario:?}");
            assert_eq!(clients.len(), 2);
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
