//! Failing commits: the file size limit of the process (`RLIMIT_FSIZE`) makes SQLite fail when it writes the WAL at
//! the commit.

use std::{path::Path, process::Command};

use guildhall_kernel::{Db, Error, Kind};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, DbErr, EntityTrait, Set};

use crate::things::{ActiveModel, Entity, migrations};

/// Set in the child process that gets the limit, which applies to a whole process.
const CHILD: &str = "GUILDHALL_TEST_FAILED_COMMITS";

/// Runs a test of this binary in a child process that ignores `SIGXFSZ`, so that a write beyond the limit is an error
/// and does not kill the process.
fn run_in_child_process(test: &str) {
    let mut child = Command::new("sh");
    child.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]).env(CHILD, "yes");
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "the test was renamed");
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
            thing.insert(&tx).await.map(|_| ())
        }
    })
    .await
}

/// Writes concurrently and returns the names of the acknowledged rows.
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

/// The names that another process would read.
async fn stored(url: &str) -> Vec<String> {
    let db = Db::connect(url, 1).await.unwrap();
    let names = Entity::find().all(db.conn()).await.unwrap().into_iter().map(|thing| thing.name).collect();
    db.close().await.unwrap();
    names
}

fn wal_size(folder: &Path) -> u64 {
    std::fs::metadata(folder.join("test.db-wal")).map_or(0, |file| file.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fault_1_acknowledged_writes_survive_failed_commits() {
    if std::env::var_os(CHILD).is_none() {
        return run_in_child_process("failed_commits::fault_1_acknowledged_writes_survive_failed_commits");
    }
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("test.db").display());
    let db = Db::connect(&url, 4).await.unwrap();
    db.migrate(migrations).await.unwrap();
    // While this connection has the log open, no other one copies it into the file and begins it anew when it is closed.
    assert!(Entity::find().one(db.conn()).await.unwrap().is_none());
    let mut expected = Vec::new();
    let mut failed = 0;
    for writers in [1, 4, 9] {
        // Each step allows one more WAL frame (a header of 24 bytes and a page), so that the commit fails at its
        // first frame, its second, and so on.
        for frames in 0..8 {
            limit_file_size(Some(wal_size(folder.path()) + frames * 4120));
            let during = add_many(&db, &format!("during-{writers}-{frames}"), writers).await;
            let writable = db.check_writable().await;
            limit_file_size(None);
            failed += writers * 4 - during.len();
            assert!(frames > 0 || (during.is_empty() && writable.is_err()), "the first commit fails");
            expected.extend(during);
            // Without the limit all writes succeed, without a restart.
            let after = add_many(&db, &format!("after-{writers}-{frames}"), writers).await;
            assert_eq!(after.len(), writers * 4);
            db.check_writable().await.unwrap();
            expected.extend(after);
            let stored = stored(&url).await;
            for name in &expected {
                assert!(stored.contains(name), "{name:.20} was acknowledged but is not stored");
            }
        }
    }
    assert!(failed > 50, "{failed} failed");
    db.close().await.unwrap();
    let stored = stored(&url).await;
    assert!(expected.iter().all(|name| stored.contains(name)), "all rows are stored after a clean stop");
}
