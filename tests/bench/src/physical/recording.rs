//! Records the statements of requests on the server's services in this process.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use anyhow::Context;
use guildhall_gateway::{Server, Services, Settings, Sources};
use guildhall_kernel::Db;
use sea_orm::Statement;

use super::{Physical, repetition};
use crate::{client::Client, fill::Volume, scenario::Scenario, target::Target};

/// How long the statements of a scenario are repeated, for each of several runs.
pub(super) const LENGTH: Duration = Duration::from_millis(300);
/// Number of users, each of which sends one request of a scenario.
const USERS: u32 = 8;
/// How often a read is recorded. The shortest recording counts, because background work only adds to one.
const ATTEMPTS: u32 = 10;
/// How often a read is recorded at most, because a recording with a write of background work does not count.
const MAX_ATTEMPTS: u32 = 50;
/// The keywords that start a write.
const WRITES: [&str; 4] = ["INSERT", "UPDATE", "DELETE", "REPLACE"];
/// The database counts as idle if nothing was executed for so long.
const IDLE: Duration = Duration::from_millis(50);
/// How often to check that the database is idle.
const MAX_CHECKS: u32 = 100;

pub(super) async fn measure(
    database: &Path,
    folder: &Path,
    volume: Volume,
    scenarios: &[Scenario],
    length: Duration,
) -> anyhow::Result<Vec<(Scenario, Physical)>> {
    let folder = folder.join("physical");
    fs::create_dir_all(&folder)?;
    let copy = folder.join("copy.db");
    fs::copy(database, &copy).with_context(|| format!("cannot copy {}", database.display()))?;
    let server = serve(&copy, &folder).await?;
    let target = Target::sign_in(server.address(), USERS, volume).await?;
    let db = &server.services().db;
    let mut results = Vec::new();
    for scenario in scenarios {
        let mut clients = target.clients(*scenario).await?;
        // What is cached after a request is cached in the measured server as well.
        for client in &mut clients {
            client.sample().await?;
        }
        wait_until_idle(db).await;
        let (file, statements) = if scenario.is_read() {
            (copy.clone(), record_reads(db, &mut clients).await?)
        } else {
            // The state before the writes, since the recorded statements contain ids of new rows.
            let before = folder.join("before.db");
            db.copy_to(&before).await?;
            (before, record_writes(db, &mut clients).await?)
        };
        let requests = f64::from(USERS);
        let count = f64::from(u32::try_from(statements.len())?);
        let (path, is_read) = (file.clone(), scenario.is_read());
        let repeated =
            tokio::task::spawn_blocking(move || repetition::cpu_us(&path, &statements, is_read, length)).await?;
        let sqlite_us = match repeated {
            Ok(cpu_us) => Some(cpu_us / requests),
            Err(error) => {
                writeln!(io::stderr(), "{}: the statements cannot be repeated: {error:#}", scenario.name())?;
                None
            }
        };
        if file != copy {
            fs::remove_file(&file)?;
        }
        results.push((*scenario, Physical { statements: count / requests, sqlite_us, ratio: None }));
    }
    server.stop().await?;
    Ok(results)
}

/// Starts the server in this process, with the settings of a measured one.
async fn serve(database: &Path, folder: &Path) -> anyhow::Result<Server> {
    let url = format!("sqlite://{}", database.display());
    let variables = [
        ("GUILDHALL__SERVER__BIND", "127.0.0.1:0".to_owned()),
        ("GUILDHALL__DATABASE__URL", url),
        ("GUILDHALL__DATA_DIR", folder.display().to_string()),
        ("GUILDHALL__LIMITS__ENABLED", "false".to_owned()),
    ];
    let variables = variables.map(|(key, value)| (key.to_owned(), value)).into();
    let settings = Settings::load(&Sources { variables, ..Sources::default() }).map_err(anyhow::Error::msg)?;
    let services = Services::open(&settings, true).await?;
    Server::start(&settings, services).await
}

/// The statements of one request of each client.
async fn record_reads(db: &Db, clients: &mut [Client]) -> anyhow::Result<Vec<Statement>> {
    let mut all = Vec::new();
    for client in clients {
        let (mut shortest, mut counted) = (None::<Vec<Statement>>, 0);
        for _ in 0..MAX_ATTEMPTS {
            db.record_statements();
            client.sample().await?;
            let recorded = db.record_statements();
            if recorded.iter().any(writes) {
                wait_until_idle(db).await;
                continue;
            }
            if shortest.as_ref().is_none_or(|shortest| recorded.len() < shortest.len()) {
                shortest = Some(recorded);
            }
            counted += 1;
            if counted == ATTEMPTS {
                break;
            }
        }
        all.extend(shortest.context("background work did not end")?);
    }
    Ok(all)
}

fn writes(statement: &Statement) -> bool {
    WRITES.iter().any(|write| statement.sql.trim_start().starts_with(write))
}

/// The statements of one request of each client, and of the work in the background that follows.
async fn record_writes(db: &Db, clients: &mut [Client]) -> anyhow::Result<Vec<Statement>> {
    db.record_statements();
    for client in clients {
        client.sample().await?;
    }
    wait_until_idle(db).await;
    Ok(db.record_statements())
}

async fn wait_until_idle(db: &Db) {
    for _ in 0..MAX_CHECKS {
        let before = db.statements();
        tokio::time::sleep(IDLE).await;
        if db.statements() == before {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use guildhall_accounts::HashCost;
    use guildhall_kernel::db::sqlite_file;

    use super::*;
    use crate::{
        fill::{fill_at, password_hash},
        scenario::Scenario,
    };

    const VOLUME: Volume = Volume { people: 30, groups: 30, posts: 400, deals: 60, messages: 600 };

    #[tokio::test]
    async fn the_statements_of_every_scenario_can_be_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("filled.db").display());
        let db = Db::connect(&url, 1).await.unwrap();
        db.migrate(guildhall_migration::all).await.unwrap();
        db.close().await.unwrap();
        let hash = password_hash(HashCost { memory_kib: 64, passes: 1, lanes: 1 }).unwrap();
        fill_at(&url, VOLUME, &hash).await.unwrap();

        let (database, length) = (sqlite_file(&url).unwrap(), Duration::from_millis(1));
        let measured = measure(&database, folder.path(), VOLUME, &Scenario::ALL, length);
        let results = Box::pin(measured).await.unwrap();
        assert_eq!(results.len(), Scenario::ALL.len());
        for (scenario, physical) in results {
            assert!(physical.statements >= 1.0, "{scenario:?}: {physical:?}");
            assert!(physical.sqlite_us.is_some_and(|cpu_us| cpu_us > 0.0), "{scenario:?}: {physical:?}");
            if scenario == Scenario::Groups {
                assert!(physical.statements >= 3.0 && physical.statements.fract() == 0.0, "{physical:?}");
            }
        }
    }
}
