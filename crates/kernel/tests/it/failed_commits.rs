//! Commits that really fail: the process may not write beyond a certain size of a file (`RLIMIT_FSIZE`), which
//! SQLite meets when it writes its log at the commit.

use std::{path::Path, process::Command};

use guildhall_kernel::{Db, Error, Kind};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, DbErr, EntityTrait, Set};

use crate::things::{ActiveModel, Entity, migrations};

/// Set in the process that the limit holds for: it holds for all of a process.
const CHILD: &str = "GUILDHALL_TEST_FAILED_COMMITS";

/// Runs a test of this binary again in a process of its own, in which a write beyond the limit is an error
/// and not the end (`SIGXFSZ`).
fn in_a_process_of_its_own(test: &str) {
    let mut child = Command::new("sh");
    child.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]).env(CHILD, "yes");
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "the test has another name");
}

fn limit_file_size(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

async fn add(db: &Db, name: String) -> Result<(), DbErr> {
    db.write(|tx| {
        let name = name.clone();
        async move {
            let thing = ActiveModel { id: NotSet, name: Set(name), parent_id: Set(None) };
            thing.insert(tx.conn()).await.map(|_| ())
        }
    })
    .await
}

/// Many write at once; gives the names of what was acknowledged.
async fn add_many(db: &Db, prefix: &str, writers: usize) -> Vec<String> {
    let writers = (0..writers).map(|writer| {
        let (db, prefix) = (db.clone(), prefix.to_owned());
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for n in 0..4 {
                let name = format!("{prefix}-{writer}-{n}-{}", "x".repeat(writer * 100));
                match add(&db, name.clone()).await {
                    Ok(()) => acknowledged.push(name),
                    Err(error) => assert_eq!(Error::from(error).kind(), Kind::Unavailable),
                }
            }
            acknowledged
        })
    });
    let mut acknowledged = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        acknowledged.extend(writer.await.unwrap());
    }
    acknowledged
}

/// What a process of its own would see.
async fn stored(url: &str) -> Vec<String> {
    let db = Db::connect(url, 1).await.unwrap();
    let names = Entity::find().all(db.conn()).await.unwrap().into_iter().map(|thing| thing.name).collect();
    db.close().await.unwrap();
    names
}

fn log_size(folder: &Path) -> u64 {
    std::fs::metadata(folder.join("test.db-wal")).unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fault_1_what_is_acknowledged_around_a_failed_commit_is_stored() {
    if std::env::var_os(CHILD).is_none() {
        return in_a_process_of_its_own(
            "failed_commits::fault_1_what_is_acknowledged_around_a_failed_commit_is_stored",
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("test.db").display());
    let db = Db::connect(&url, 4).await.unwrap();
    db.migrate(migrations).await.unwrap();
    let mut expected = Vec::new();
    let mut failed = 0;
    for writers in [1, 4, 9] {
        // Each step lets another frame of the log through (a header of 24 bytes and a page), so that the commit
        // fails at its first, its second, and so on.
        for frames in 0..8 {
            limit_file_size(Some(log_size(folder.path()) + frames * 4120));
            let full = add_many(&db, &format!("full-{writers}-{frames}"), writers).await;
            let writable = db.check_writable().await;
            limit_file_size(None);
            failed += writers * 4 - full.len();
            assert!(frames > 0 || (full.is_empty() && writable.is_err()), "the first commit fails");
            expected.extend(full);
            // There is room again: everything goes well, without a restart.
            let after = add_many(&db, &format!("after-{writers}-{frames}"), writers).await;
            assert_eq!(after.len(), writers * 4);
            db.check_writable().await.unwrap();
            expected.extend(after);
            let stored = stored(&url).await;
            for name in &expected {
                assert!(stored.contains(name), "{name:.20} was acknowledged and is not stored");
            }
        }
    }
    assert!(failed > 50, "{failed} failed");
    db.close().await.unwrap();
    let stored = stored(&url).await;
    assert!(expected.iter().all(|name| stored.contains(name)), "a clean stop keeps it");
}
