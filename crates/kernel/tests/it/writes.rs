use std::sync::atomic::{AtomicU32, Ordering};

use guildhall_kernel::{
    Db,
    db::{self, Tx},
    testing::TestDb,
};
use sea_orm::{
    ActiveValue::NotSet, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryOrder, Set, SqlErr, Statement,
};

use crate::things::{ActiveModel, Column, Entity, migrations};

async fn insert(conn: &impl ConnectionTrait, name: &str) -> Result<(), DbErr> {
    let thing = ActiveModel { id: NotSet, name: Set(name.to_owned()), parent_id: Set(None) };
    Entity::insert(thing).exec_without_returning(conn).await.map(drop)
}

async fn names(conn: &impl ConnectionTrait) -> Vec<String> {
    Entity::find().order_by_asc(Column::Id).all(conn).await.unwrap().into_iter().map(|thing| thing.name).collect()
}

#[tokio::test]
async fn deferred_statements_run_in_order_with_the_next_one_or_the_commit() {
    let db = TestDb::new(migrations).await;
    db.write(|tx| async move {
        insert(&tx.deferred(), "one").await?;
        insert(&tx.deferred(), "two").await?;
        insert(&tx, "three").await?;
        insert(&tx.deferred(), "four").await?;
        assert_eq!(names(&tx).await, ["one", "two", "three", "four"]);
        insert(&tx.deferred(), "five").await
    })
    .await
    .unwrap();
    assert_eq!(names(db.conn()).await, ["one", "two", "three", "four", "five"]);
}

#[tokio::test]
async fn any_number_of_statements_can_be_deferred() {
    let db = TestDb::new(migrations).await;
    db.write(|tx| async move {
        for number in 0..200 {
            insert(&tx.deferred(), &number.to_string()).await?;
        }
        Ok::<_, DbErr>(())
    })
    .await
    .unwrap();
    assert_eq!(names(db.conn()).await.len(), 200);
}

/// Runs one writer beside others that all must succeed.
async fn beside_others<F, Fut>(db: &TestDb, run: F) -> Result<(), DbErr>
where
    F: Fn(Tx) -> Fut,
    Fut: Future<Output = Result<(), DbErr>>,
{
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let other = || async {
        let name = format!("other {}", NUMBER.fetch_add(1, Ordering::Relaxed));
        db.write(|tx| {
            let name = name.clone();
            async move { insert(&tx, &name).await }
        })
        .await
    };
    let (before, outcome, after, last) = tokio::join!(other(), db.write(run), other(), other());
    for other in [before, after, last] {
        other.unwrap();
    }
    outcome
}

#[tokio::test]
async fn the_error_of_a_deferred_statement_fails_its_transaction_alone() {
    let db = TestDb::new(migrations).await;
    insert_one(&db, "taken").await;
    let at_commit = beside_others(&db, |tx| async move {
        insert(&tx, "lost").await?;
        insert(&tx.deferred(), "taken").await
    });
    let error = at_commit.await.unwrap_err();
    assert!(matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))), "{error}");
    let ignored = beside_others(&db, |tx| async move {
        insert(&tx.deferred(), "lost").await?;
        // PostgreSQL reports it here already, and refuses the rest.
        let _ = insert(&tx.deferred(), "taken").await;
        let _ = insert(&tx, "never executed").await;
        Ok(())
    });
    // A commit of a failed transaction is a rollback on PostgreSQL.
    let outcome = ignored.await;
    assert!(outcome.is_err() || db.backend() == DbBackend::Postgres);
    let stored = names(db.conn()).await;
    assert_eq!(stored.iter().filter(|name| name.starts_with("other")).count(), 6, "{stored:?}");
    assert_eq!(stored.len(), 7, "{stored:?}");
}

async fn insert_one(db: &Db, name: &'static str) {
    db.write(|tx| async move { insert(&tx, name).await }).await.unwrap();
}

#[tokio::test]
async fn a_failed_or_empty_transaction_leaves_nothing_deferred() {
    let db = TestDb::new(migrations).await;
    let failed = db.write(|tx| async move {
        insert(&tx.deferred(), "lost").await?;
        Err::<(), _>(DbErr::Custom("no".into()))
    });
    assert!(failed.await.is_err());
    db.write(|_| async move { Ok::<_, DbErr>(()) }).await.unwrap();
    insert_one(&db, "kept").await;
    assert_eq!(names(db.conn()).await, ["kept"]);
}

#[tokio::test]
async fn joined_statements_each_get_their_own_result() {
    let db = TestDb::new(migrations).await;
    for name in ["one", "two", "three"] {
        insert_one(&db, name).await;
    }
    let numbered = "SELECT name FROM thing WHERE id = $1 AND $2 = 'x' AND $1 > 0";
    let check = async |pipeline: &db::Pipeline<'_>| {
        let find = |id: i64| db::scalar::<String>(pipeline, numbered, [id.into(), "x".into()]);
        let all = async { Ok(names(pipeline).await) };
        let (first, all, third, none) = tokio::try_join!(find(1), all, find(3), find(99)).unwrap();
        assert_eq!((first.as_deref(), third.as_deref(), none), (Some("one"), Some("three"), None));
        assert_eq!(all, ["one", "two", "three"]);
        assert_eq!(find(2).await.unwrap().as_deref(), Some("two"), "also one alone");
    };
    check(&db.conn().pipeline()).await;
    db.write(|tx| async move {
        check(&tx.pipeline()).await;
        Ok::<_, DbErr>(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_joined_statement_that_fails_fails_all() {
    let db = TestDb::new(migrations).await;
    let conn = db.conn().pipeline();
    let wrong = async { conn.query_all_raw(Statement::from_string(db.backend(), "SELECT nothing")).await };
    let right = db::scalar::<i64>(&conn, "SELECT COUNT(*) FROM thing", []);
    assert!(tokio::try_join!(wrong, right).is_err());
    assert_eq!(db::scalar(&conn, "SELECT COUNT(*) FROM thing", []).await.unwrap(), Some(0_i64));
}

#[tokio::test]
async fn a_joined_statement_that_is_dropped_before_it_is_sent_is_not_executed() {
    let db = TestDb::new(migrations).await;
    if db.backend() != DbBackend::Sqlite {
        return; // PostgreSQL executes each statement as soon as it is polled.
    }
    db.write(|tx| async move {
        let pipeline = tx.pipeline();
        // It is polled once, and then dropped.
        let dropped = tokio::select! {
            biased;
            outcome = insert(&pipeline, "dropped") => Some(outcome),
            () = std::future::ready(()) => None,
        };
        assert!(dropped.is_none());
        insert(&pipeline, "kept").await
    })
    .await
    .unwrap();
    assert_eq!(names(db.conn()).await, ["kept"]);
}

#[tokio::test]
async fn each_joined_statement_reports_the_error_that_ended_the_transaction() {
    let db = TestDb::new(migrations).await;
    insert_one(&db, "taken").await;
    let outcome = db
        .write(|tx| async move {
            let pipeline = tx.pipeline();
            let (first, second) = tokio::join!(insert(&pipeline, "taken"), insert(&pipeline, "another"));
            for error in [first.unwrap_err(), second.unwrap_err()] {
                assert!(matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))), "{error}");
            }
            Err::<(), _>(DbErr::Custom("no".into()))
        })
        .await;
    assert!(outcome.is_err());
}

#[tokio::test]
async fn nothing_is_stored_after_an_error_that_ended_the_transaction() {
    let db = TestDb::new(migrations).await;
    if db.backend() != DbBackend::Sqlite {
        return;
    }
    // A page limit simulates a full disk, which makes SQLite roll back the transaction; later statements would be
    // transactions of their own.
    let outcome = db
        .write(|tx| async move {
            insert(&tx, "before").await?;
            let pages: i64 = db::scalar(&tx, "PRAGMA page_count", []).await?.unwrap();
            tx.execute_unprepared(&format!("PRAGMA max_page_count = {}", pages + 1)).await?;
            assert!(insert(&tx, &"x".repeat(100_000)).await.is_err());
            let _ = insert(&tx, "after").await;
            Ok::<_, DbErr>(())
        })
        .await;
    assert!(outcome.is_err());
    assert!(names(db.conn()).await.is_empty());
    insert_one(&db, "next").await;
}
