use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use guildhall_kernel::{Db, db::sqlite_file, testing::TestDb};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ConnectionTrait, DbBackend, DbErr, EntityTrait, PaginatorTrait, Set, SqlErr,
    Statement,
};
use tokio::sync::Barrier;

use crate::things::{ActiveModel, Entity, migrations};

async fn add(conn: &impl ConnectionTrait, name: impl Into<String>, parent: Option<i64>) -> Result<(), DbErr> {
    let thing = ActiveModel { id: NotSet, name: Set(name.into()), parent_id: Set(parent) };
    thing.insert(conn).await.map(|_| ())
}

async fn count(db: &Db) -> u64 {
    Entity::find().count(db.conn()).await.unwrap()
}

#[tokio::test]
async fn the_log_is_copied_into_the_file_in_the_background() {
    let db = TestDb::new(migrations).await;
    let Some(file) = sqlite_file(db.url()) else { return };
    let size = || std::fs::metadata(&file).unwrap().len();
    let before = size();
    // Far less than what makes a commit copy it.
    db.write(|tx| async move {
        for number in 0..100 {
            add(&tx, format!("{number} {}", "x".repeat(4000)), None).await?;
        }
        Ok::<_, DbErr>(())
    })
    .await
    .unwrap();
    let grown = async {
        while size() == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), grown).await.unwrap();
}

#[tokio::test]
async fn a_failed_transaction_is_rolled_back() {
    let db = TestDb::new(migrations).await;
    let outcome = db
        .write(|tx| async move {
            add(&tx, "one", None).await?;
            Err::<(), _>(DbErr::Custom("no".into()))
        })
        .await;
    assert!(outcome.is_err());
    assert_eq!(count(&db).await, 0);
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back_and_does_not_block_others() {
    let db = TestDb::new(migrations).await;
    let dropped = db.write(|tx| async move {
        add(&tx, "one", None).await?;
        std::future::pending::<Result<(), DbErr>>().await
    });
    assert!(tokio::time::timeout(Duration::from_millis(100), dropped).await.is_err());
    db.write(|tx| async move { add(&tx, "two", None).await }).await.unwrap();
    assert_eq!(count(&db).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_many_concurrent_writers_gets_its_own_outcome() {
    let db = TestDb::with_connections(migrations, 8).await;
    let tasks = (0..200).map(|i| {
        let db = db.handle();
        tokio::spawn(async move {
            // Two writers per name: one of them fails, without effect on others.
            let name = format!("thing {}", i / 2);
            db.write(|tx| {
                let name = name.clone();
                async move { add(&tx, name, None).await }
            })
            .await
        })
    });
    let mut stored = 0;
    for task in tasks.collect::<Vec<_>>() {
        match task.await.unwrap() {
            Ok(()) => stored += 1,
            Err(error) => assert!(matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))),
        }
    }
    assert_eq!((stored, count(&db).await), (100, 100));
}

#[tokio::test]
async fn a_read_sees_earlier_writes() {
    let db = TestDb::new(migrations).await;
    for i in 1..=20 {
        db.write(|tx| async move { add(&tx, i.to_string(), None).await }).await.unwrap();
        assert_eq!(count(&db).await, i);
    }
}

#[tokio::test]
async fn foreign_keys_are_enforced_on_every_connection() {
    let db = TestDb::with_connections(migrations, 4).await;
    let refused = db.write(|tx| async move { add(&tx, "orphan", Some(99)).await }).await.unwrap_err();
    assert!(matches!(refused.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_))));
}

#[tokio::test]
async fn sqlite_uses_wal_with_durable_commits_and_read_only_readers() {
    let db = TestDb::new(migrations).await;
    if db.backend() != DbBackend::Sqlite {
        return;
    }
    let pragma = async |conn: &guildhall_kernel::db::Tx, name: &str| {
        let query = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {name}"));
        let row = conn.query_one_raw(query).await.unwrap().unwrap();
        row.try_get_by_index::<String>(0).or_else(|_| row.try_get_by_index::<i32>(0).map(|n| n.to_string())).unwrap()
    };
    db.write(|tx| async move {
        assert_eq!(pragma(&tx, "journal_mode").await, "wal");
        assert_eq!(pragma(&tx, "synchronous").await, "2", "FULL");
        assert_eq!(pragma(&tx, "foreign_keys").await, "1");
        Ok::<_, DbErr>(())
    })
    .await
    .unwrap();
    let written = add(db.conn(), "by a reader", None).await;
    assert!(written.unwrap_err().to_string().contains("readonly"));
}

#[tokio::test]
async fn no_write_is_acknowledged_that_a_full_disk_rolled_back() {
    let db = TestDb::with_connections(migrations, 4).await;
    if db.backend() != DbBackend::Sqlite {
        return;
    }
    // A page limit simulates a full disk. SQLite may roll back the whole shared transaction.
    db.write(|tx| async move {
        let row = tx.query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA page_count")).await?;
        let pages: i64 = row.unwrap().try_get_by_index(0)?;
        tx.execute_unprepared(&format!("PRAGMA max_page_count = {}", pages + 2)).await
    })
    .await
    .unwrap();
    let tasks = (0..60).map(|i| {
        let db = db.handle();
        tokio::spawn(async move {
            let name = format!("{i}{}", "x".repeat(if i % 3 == 0 { 3000 } else { 3 }));
            db.write(|tx| {
                let name = name.clone();
                async move { add(&tx, name, None).await }
            })
            .await
            .is_ok()
        })
    });
    let mut acknowledged = 0;
    for task in tasks.collect::<Vec<_>>() {
        acknowledged += u64::from(task.await.unwrap());
    }
    assert!(acknowledged < 60, "the disk was never full");
    assert_eq!(count(&db).await, acknowledged);
    assert_writer_works(&db).await;
}

/// Checks that the writer still begins its transactions with `IMMEDIATE`.
async fn assert_writer_works(db: &TestDb) {
    db.write(|tx| async move { tx.execute_unprepared("PRAGMA max_page_count = 1000000").await }).await.unwrap();
    let other = Db::connect(db.url(), 1).await.unwrap();
    // A second writer waits from the begin of the first transaction, before that has written anything.
    let (started, has_started) = tokio::sync::oneshot::channel();
    let started = std::sync::Mutex::new(Some(started));
    let started = &started;
    let first = db.write(|tx| async move {
        let started = started.lock().unwrap().take();
        started.unwrap().send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        add(&tx, "first", None).await
    });
    let second = async {
        has_started.await.unwrap();
        other.write(|tx| async move { Entity::find().count(&tx).await }).await.unwrap()
    };
    let before = count(db).await;
    let (first, seen) = tokio::join!(first, second);
    first.unwrap();
    assert_eq!(seen, before + 1);
}

/// Polls a future up to a number of times, then drops it.
async fn poll_times<F: Future>(future: F, mut times: u32) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        if times == 0 {
            return std::task::Poll::Ready(None);
        }
        times -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_are_dropped_at_any_point_do_not_affect_others() {
    let db = TestDb::with_connections(migrations, 8).await;
    let tasks = (0..600_u32).map(|i| {
        let db = db.handle();
        tokio::spawn(async move {
            let write = db.write(|tx| async move { add(&tx, i.to_string(), None).await });
            // Every third one is dropped after a few polls.
            let polls = if i % 3 == 0 { i / 3 % 12 } else { u32::MAX };
            poll_times(write, polls).await.map(|outcome| outcome.map(|()| i))
        })
    });
    let mut acknowledged = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        match task.await.unwrap() {
            Some(Ok(i)) => acknowledged.push(i.to_string()),
            Some(Err(error)) => panic!("a writer failed because another one was dropped: {error}"),
            None => {}
        }
    }
    assert!(acknowledged.len() >= 400);
    let stored: Vec<String> =
        Entity::find().all(db.conn()).await.unwrap().into_iter().map(|thing| thing.name).collect();
    for name in acknowledged {
        assert!(stored.contains(&name), "{name} was acknowledged");
    }
    if db.backend() == DbBackend::Sqlite {
        assert_writer_works(&db).await;
    }
}

#[tokio::test]
async fn postgres_transactions_are_retried_after_a_deadlock() {
    let db = TestDb::with_connections(migrations, 4).await;
    if db.backend() != DbBackend::Postgres {
        return;
    }
    for name in ["a", "b"] {
        db.write(|tx| async move { add(&tx, name, None).await }).await.unwrap();
    }
    // Two transactions update the same two rows in opposite order: a deadlock, after which one is rolled back.
    let (barrier, runs) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU32::new(0)));
    let update_both = |first: &'static str, second: &'static str| {
        let (db, barrier, runs) = (db.handle(), barrier.clone(), runs.clone());
        tokio::spawn(async move {
            db.write(|tx| {
                let (barrier, is_retry) = (barrier.clone(), runs.fetch_add(1, Ordering::SeqCst) >= 2);
                async move {
                    let update = |name| format!("UPDATE thing SET parent_id = NULL WHERE name = '{name}'");
                    tx.execute_unprepared(&update(first)).await?;
                    if !is_retry {
                        barrier.wait().await;
                    }
                    tx.execute_unprepared(&update(second)).await.map(|_| ())
                }
            })
            .await
        })
    };
    let (one, two) = (update_both("a", "b"), update_both("b", "a"));
    one.await.unwrap().unwrap();
    two.await.unwrap().unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn postgres_uses_generic_plans_without_jit() {
    let db = TestDb::new(migrations).await;
    if db.backend() != DbBackend::Postgres {
        return;
    }
    for (setting, expected) in [("plan_cache_mode", "force_generic_plan"), ("jit", "off")] {
        let query = Statement::from_string(DbBackend::Postgres, format!("SHOW {setting}"));
        let row = db.conn().query_one_raw(query).await.unwrap().unwrap();
        assert_eq!(row.try_get_by_index::<String>(0).unwrap(), expected);
    }
}

#[tokio::test]
async fn concurrent_processes_migrate_once() {
    let db = TestDb::with_connections(Vec::new, 4).await;
    let mut others = Vec::new();
    for _ in 0..4 {
        let other = Db::connect(db.url(), 2).await.unwrap();
        others.push(tokio::spawn(async move { other.migrate(migrations).await }));
    }
    for other in others {
        other.await.unwrap().unwrap();
    }
    let status = db.migration_status(migrations).await.unwrap();
    assert_eq!(status, [("m20250101_000000_things".to_owned(), true)]);
}

#[tokio::test]
async fn migrations_can_be_reverted_and_applied_again() {
    let db = TestDb::new(migrations).await;
    db.migrate_down(migrations, 1).await.unwrap();
    assert!(!db.migration_status(migrations).await.unwrap()[0].1);
    db.migrate(migrations).await.unwrap();
    db.write(|tx| async move { add(&tx, "lost", None).await }).await.unwrap();
    db.migrate_fresh(migrations).await.unwrap();
    assert_eq!(count(&db).await, 0);
}

#[tokio::test]
async fn a_database_from_a_newer_version_is_refused() {
    let db = TestDb::new(migrations).await;
    let refused = db.migrate(Vec::new).await.unwrap_err().to_string();
    assert!(refused.contains("m20250101_000000_things"), "{refused}");
}

#[tokio::test]
async fn an_unsupported_url_is_refused() {
    for url in ["mysql://x/y", "", "sqlite::memory:", "postgres://[", "data.db"] {
        assert!(Db::connect(url, 1).await.is_err(), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_19_waiting_for_the_writer_times_out_after_five_seconds() {
    let db = TestDb::with_connections(migrations, 4).await;
    if db.backend() != DbBackend::Sqlite {
        return;
    }
    // A second handle, like another process.
    let other = Db::connect(db.url(), 1).await.unwrap();
    let (locked, is_locked) = tokio::sync::oneshot::channel();
    let locked = std::sync::Mutex::new(Some(locked));
    let holder = tokio::spawn(async move {
        let locked = &locked;
        let hold = other.write(|tx| async move {
            add(&tx, "other", None).await?;
            locked.lock().unwrap().take().unwrap().send(()).unwrap();
            std::future::pending::<Result<(), DbErr>>().await
        });
        tokio::time::timeout(Duration::from_secs(7), hold).await.unwrap_err();
    });
    is_locked.await.unwrap();
    let writers: Vec<_> = (0..4)
        .map(|n| {
            let db = db.handle();
            tokio::spawn(async move {
                let start = std::time::Instant::now();
                let name = format!("writer {n}");
                let refused = db.write(|tx| {
                    let name = name.clone();
                    async move { add(&tx, name, None).await }
                });
                (guildhall_kernel::Error::from(refused.await.unwrap_err()), start.elapsed())
            })
        })
        .collect();
    for writer in writers {
        let (error, waited) = writer.await.unwrap();
        assert_eq!(error.kind(), guildhall_kernel::Kind::Unavailable, "{error}");
        assert!(waited < Duration::from_secs(6), "{waited:?}");
    }
    let check = tokio::time::timeout(Duration::from_millis(500), db.check_writable()).await;
    assert!(check.is_err(), "the check waits for the writer as well");
    holder.await.unwrap();
    add_one(&db, "after").await;
}

async fn add_one(db: &Db, name: &'static str) {
    db.write(|tx| async move { add(&tx, name, None).await }).await.unwrap();
}

/// The same database, with one connection for reading and a statement limit in milliseconds.
async fn limited(db: &TestDb, limit: Option<u64>) -> Db {
    let options = guildhall_kernel::db::Options { connections: 1, statement_limit: limit.map(Duration::from_millis) };
    Db::connect_with(db.url(), &options).await.unwrap()
}

/// A statement that runs for minutes and returns one row.
fn slow(db: &Db) -> Statement {
    let sql = match db.backend() {
        DbBackend::Postgres => "SELECT 1 FROM pg_sleep(600)",
        _ => {
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000) \
             SELECT count(*) FROM n"
        }
    };
    Statement::from_string(db.backend(), sql)
}

#[tokio::test]
async fn fault_3_a_statement_that_runs_too_long_is_cancelled() {
    let db = TestDb::new(migrations).await;
    let limited = limited(&db, Some(200)).await;
    for _ in 0..3 {
        let error = limited.conn().query_one_raw(slow(&limited)).await.unwrap_err();
        assert_eq!(guildhall_kernel::Error::from(error).kind(), guildhall_kernel::Kind::Unavailable);
        assert_eq!(count(&limited).await, 0, "the connection can be reused");
    }
}

#[tokio::test]
async fn fault_3_a_statement_of_a_snapshot_that_runs_too_long_is_cancelled() {
    let db = TestDb::new(migrations).await;
    let limited = limited(&db, Some(200)).await;
    let snapshot = limited.snapshot().await.unwrap();
    let error = snapshot.query_one_raw(slow(&limited)).await.unwrap_err();
    assert_eq!(guildhall_kernel::Error::from(error).kind(), guildhall_kernel::Kind::Unavailable);
    drop(snapshot);
    assert_eq!(count(&limited).await, 0, "the connection can be reused");
}

#[tokio::test]
async fn a_snapshot_sees_nothing_of_later_writes() {
    let db = TestDb::with_connections(migrations, 2).await;
    add_one(&db, "before").await;
    for name in ["one", "two", "three"] {
        let snapshot = db.snapshot().await.unwrap();
        let before = Entity::find().count(&snapshot).await.unwrap();
        add_one(&db, name).await;
        assert_eq!(Entity::find().count(&snapshot).await.unwrap(), before);
        drop(snapshot);
        // The connection is reused, and its transaction has ended.
        assert_eq!(count(&db).await, before + 1);
    }
}

#[tokio::test]
async fn fault_3_a_read_is_cancelled_with_its_caller() {
    let db = TestDb::new(migrations).await;
    if db.backend() != DbBackend::Sqlite {
        // PostgreSQL continues up to the statement limit; the pool drops the connection.
        return;
    }
    let limited = limited(&db, None).await;
    for _ in 0..3 {
        let read = limited.conn().query_one_raw(slow(&limited));
        assert!(tokio::time::timeout(Duration::from_millis(50), read).await.is_err());
        // There is only one connection; waiting for it would time out after five seconds.
        assert_eq!(count(&limited).await, 0);
    }
}

#[tokio::test]
async fn fault_3_authentication_works_while_all_connections_are_busy() {
    let db = TestDb::new(migrations).await;
    if db.backend() != DbBackend::Sqlite {
        return;
    }
    let limited = limited(&db, None).await;
    let busy = limited.conn().query_one_raw(slow(&limited));
    let identity_read = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Entity::find().count(limited.identity_conn()).await.unwrap()
    };
    tokio::select! {
        _ = busy => panic!("the statement takes minutes"),
        count = identity_read => assert_eq!(count, 0),
    }
}
