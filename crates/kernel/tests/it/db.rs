use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use guildhall_kernel::{Db, testing::TestDb};
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
async fn an_act_that_fails_leaves_nothing() {
    let db = TestDb::new(migrations).await;
    let outcome = db
        .write(|tx| async move {
            add(tx.conn(), "one", None).await?;
            Err::<(), _>(DbErr::Custom("no".into()))
        })
        .await;
    assert!(outcome.is_err());
    assert_eq!(count(&db).await, 0);
}

#[tokio::test]
async fn an_act_that_is_dropped_half_way_leaves_nothing_and_blocks_nobody() {
    let db = TestDb::new(migrations).await;
    let dropped = db.write(|tx| async move {
        add(tx.conn(), "one", None).await?;
        std::future::pending::<Result<(), DbErr>>().await
    });
    assert!(tokio::time::timeout(Duration::from_millis(100), dropped).await.is_err());
    db.write(|tx| async move { add(tx.conn(), "two", None).await }).await.unwrap();
    assert_eq!(count(&db).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_each_gets_its_own_outcome() {
    let db = TestDb::with_connections(migrations, 8).await;
    let tasks = (0..200).map(|i| {
        let db = db.handle();
        tokio::spawn(async move {
            // Two of each name: one of them must lose, and take nobody with it.
            let name = format!("thing {}", i / 2);
            db.write(|tx| {
                let name = name.clone();
                async move { add(tx.conn(), name, None).await }
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
async fn what_is_written_is_there_for_the_next_read() {
    let db = TestDb::new(migrations).await;
    for i in 1..=20 {
        db.write(|tx| async move { add(tx.conn(), i.to_string(), None).await }).await.unwrap();
        assert_eq!(count(&db).await, i);
    }
}

#[tokio::test]
async fn foreign_keys_hold_on_every_connection() {
    let db = TestDb::with_connections(migrations, 4).await;
    let refused = db.write(|tx| async move { add(tx.conn(), "orphan", Some(99)).await }).await.unwrap_err();
    assert!(matches!(refused.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_))));
}

#[tokio::test]
async fn sqlite_stores_durably_and_reads_beside_its_writer() {
    let db = TestDb::new(migrations).await;
    if db.backend() != DbBackend::Sqlite {
        return;
    }
    let pragma = async |conn: &sea_orm::DatabaseTransaction, name: &str| {
        let query = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {name}"));
        let row = conn.query_one_raw(query).await.unwrap().unwrap();
        row.try_get_by_index::<String>(0).or_else(|_| row.try_get_by_index::<i32>(0).map(|n| n.to_string())).unwrap()
    };
    db.write(|tx| async move {
        assert_eq!(pragma(tx.conn(), "journal_mode").await, "wal");
        assert_eq!(pragma(tx.conn(), "synchronous").await, "2", "FULL");
        assert_eq!(pragma(tx.conn(), "foreign_keys").await, "1");
        Ok::<_, DbErr>(())
    })
    .await
    .unwrap();
    let written = add(db.conn(), "by a reader", None).await;
    assert!(written.unwrap_err().to_string().contains("readonly"));
}

#[tokio::test]
async fn nobody_hears_of_a_success_that_a_full_disk_took_back() {
    let db = TestDb::with_connections(migrations, 4).await;
    if db.backend() != DbBackend::Sqlite {
        return;
    }
    // A file that may not grow is a full disk. SQLite may roll the whole shared transaction back.
    db.write(|tx| async move {
        let row = tx.conn().query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA page_count")).await?;
        let pages: i64 = row.unwrap().try_get_by_index(0)?;
        tx.conn().execute_unprepared(&format!("PRAGMA max_page_count = {}", pages + 2)).await
    })
    .await
    .unwrap();
    let tasks = (0..60).map(|i| {
        let db = db.handle();
        tokio::spawn(async move {
            let name = format!("{i}{}", "x".repeat(if i % 3 == 0 { 3000 } else { 3 }));
            db.write(|tx| {
                let name = name.clone();
                async move { add(tx.conn(), name, None).await }
            })
            .await
            .is_ok()
        })
    });
    let mut told = 0;
    for task in tasks.collect::<Vec<_>>() {
        told += u64::from(task.await.unwrap());
    }
    assert!(told < 60, "the disk was never full");
    assert_eq!(count(&db).await, told, "what was told and what is stored");
    assert_writer_is_sound(&db).await;
}

/// Does the writer still begin its transactions as it should?
async fn assert_writer_is_sound(db: &TestDb) {
    db.write(|tx| async move { tx.conn().execute_unprepared("PRAGMA max_page_count = 1000000").await }).await.unwrap();
    let other = Db::connect(db.url(), 1).await.unwrap();
    // A second writer waits from the beginning of the first one's act, before it has written a thing.
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let begun = std::sync::Mutex::new(Some(begun));
    let begun = &begun;
    let first = db.write(|tx| async move {
        let begun = begun.lock().unwrap().take();
        begun.unwrap().send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        add(tx.conn(), "first", None).await
    });
    let second = async {
        has_begun.await.unwrap();
        other.write(|tx| async move { Entity::find().count(tx.conn()).await }).await.unwrap()
    };
    let before = count(db).await;
    let (first, seen) = tokio::join!(first, second);
    first.unwrap();
    assert_eq!(seen, before + 1);
}

/// Polls a future so many times, then drops it.
async fn polled<F: Future>(future: F, mut times: u32) -> Option<F::Output> {
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
async fn writers_that_are_dropped_anywhere_take_nothing_of_their_neighbours() {
    let db = TestDb::with_connections(migrations, 8).await;
    let tasks = (0..600_u32).map(|i| {
        let db = db.handle();
        tokio::spawn(async move {
            let act = db.write(|tx| async move { add(tx.conn(), i.to_string(), None).await });
            // Every third is dropped after a few polls, wherever it is then.
            let polls = if i % 3 == 0 { i / 3 % 12 } else { u32::MAX };
            polled(act, polls).await.map(|outcome| outcome.map(|()| i))
        })
    });
    let mut told = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        match task.await.unwrap() {
            Some(Ok(i)) => told.push(i.to_string()),
            Some(Err(error)) => panic!("a neighbour's end was this one's: {error}"),
            None => {}
        }
    }
    assert!(told.len() >= 400);
    let stored: Vec<String> =
        Entity::find().all(db.conn()).await.unwrap().into_iter().map(|thing| thing.name).collect();
    for name in told {
        assert!(stored.contains(&name), "{name} was told to be stored");
    }
    if db.backend() == DbBackend::Sqlite {
        assert_writer_is_sound(&db).await;
    }
}

#[tokio::test]
async fn postgres_runs_an_act_again_that_met_another() {
    let db = TestDb::with_connections(migrations, 4).await;
    if db.backend() != DbBackend::Postgres {
        return;
    }
    for name in ["a", "b"] {
        db.write(|tx| async move { add(tx.conn(), name, None).await }).await.unwrap();
    }
    // Two acts take the same two rows in opposite order: a deadlock, of which one is rolled back.
    let (meet, runs) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU32::new(0)));
    let act = |first: &'static str, second: &'static str| {
        let (db, meet, runs) = (db.handle(), meet.clone(), runs.clone());
        tokio::spawn(async move {
            db.write(|tx| {
                let (meet, again) = (meet.clone(), runs.fetch_add(1, Ordering::SeqCst) >= 2);
                async move {
                    let touch = |name| format!("UPDATE thing SET parent_id = NULL WHERE name = '{name}'");
                    tx.conn().execute_unprepared(&touch(first)).await?;
                    if !again {
                        meet.wait().await;
                    }
                    tx.conn().execute_unprepared(&touch(second)).await.map(|_| ())
                }
            })
            .await
        })
    };
    let (one, two) = (act("a", "b"), act("b", "a"));
    one.await.unwrap().unwrap();
    two.await.unwrap().unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn postgres_plans_a_statement_once_and_compiles_none() {
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
async fn several_that_start_at_once_migrate_once() {
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
async fn migrations_go_back_and_forth() {
    let db = TestDb::new(migrations).await;
    db.migrate_down(migrations, 1).await.unwrap();
    assert!(!db.migration_status(migrations).await.unwrap()[0].1);
    db.migrate(migrations).await.unwrap();
    db.write(|tx| async move { add(tx.conn(), "lost", None).await }).await.unwrap();
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
async fn an_address_of_no_known_kind_is_refused() {
    for url in ["mysql://x/y", "", "sqlite::memory:", "postgres://[", "data.db"] {
        assert!(Db::connect(url, 1).await.is_err(), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_19_whoever_waits_for_the_writer_is_refused_after_five_seconds() {
    let db = TestDb::with_connections(migrations, 4).await;
    if db.backend() != DbBackend::Sqlite {
        return;
    }
    // As another process would.
    let other = Db::connect(db.url(), 1).await.unwrap();
    let (held, is_held) = tokio::sync::oneshot::channel();
    let held = std::sync::Mutex::new(Some(held));
    let holder = tokio::spawn(async move {
        let held = &held;
        let hold = other.write(|tx| async move {
            add(tx.conn(), "other", None).await?;
            held.lock().unwrap().take().unwrap().send(()).unwrap();
            std::future::pending::<Result<(), DbErr>>().await
        });
        tokio::time::timeout(Duration::from_secs(7), hold).await.unwrap_err();
    });
    is_held.await.unwrap();
    let writers: Vec<_> = (0..4)
        .map(|n| {
            let db = db.handle();
            tokio::spawn(async move {
                let begun = std::time::Instant::now();
                let name = format!("writer {n}");
                let refused = db.write(|tx| {
                    let name = name.clone();
                    async move { add(tx.conn(), name, None).await }
                });
                (guildhall_kernel::Error::from(refused.await.unwrap_err()), begun.elapsed())
            })
        })
        .collect();
    for writer in writers {
        let (error, waited) = writer.await.unwrap();
        assert_eq!(error.kind(), guildhall_kernel::Kind::Unavailable, "{error}");
        assert!(waited < Duration::from_secs(6), "{waited:?}");
    }
    let asked = tokio::time::timeout(Duration::from_millis(500), db.check_writable()).await;
    assert!(asked.is_err(), "whoever asks whether it can be written has to wait as well");
    holder.await.unwrap();
    add_one(&db, "after").await;
}

async fn add_one(db: &Db, name: &'static str) {
    db.write(|tx| async move { add(tx.conn(), name, None).await }).await.unwrap();
}

/// The same database, with one connection for reading and a statement limit in milliseconds.
async fn limited(db: &TestDb, limit: Option<u64>) -> Db {
    let options = guildhall_kernel::db::Options { connections: 1, statement_limit: limit.map(Duration::from_millis) };
    Db::connect_with(db.url(), &options).await.unwrap()
}

/// Minutes of work that yields one row at its end.
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
async fn fault_3_a_statement_that_runs_too_long_is_ended() {
    let db = TestDb::new(migrations).await;
    let limited = limited(&db, Some(200)).await;
    for _ in 0..3 {
        let error = limited.conn().query_one_raw(slow(&limited)).await.unwrap_err();
        assert_eq!(guildhall_kernel::Error::from(error).kind(), guildhall_kernel::Kind::Unavailable);
        assert_eq!(count(&limited).await, 0, "the connection is good for the next");
    }
}

#[tokio::test]
async fn fault_3_a_read_that_nobody_waits_for_is_ended() {
    let db = TestDb::new(migrations).await;
    if db.backend() != DbBackend::Sqlite {
        // PostgreSQL runs it on, until the statement limit; its pool drops the connection.
        return;
    }
    let limited = limited(&db, None).await;
    for _ in 0..3 {
        let read = limited.conn().query_one_raw(slow(&limited));
        assert!(tokio::time::timeout(Duration::from_millis(50), read).await.is_err());
        // The only connection; whoever waits for it would be refused after five seconds.
        assert_eq!(count(&limited).await, 0);
    }
}

#[tokio::test]
async fn fault_3_who_is_asking_is_found_out_while_every_connection_is_busy() {
    let db = TestDb::new(migrations).await;
    if db.backend() != DbBackend::Sqlite {
        return;
    }
    let limited = limited(&db, None).await;
    let busy = limited.conn().query_one_raw(slow(&limited));
    let asking = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Entity::find().count(limited.identity_conn()).await.unwrap()
    };
    tokio::select! {
        _ = busy => panic!("it takes minutes"),
        count = asking => assert_eq!(count, 0),
    }
}
