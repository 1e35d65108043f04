//! Messages and jobs that staff make due.

use std::time::Duration;

use guildhall_kernel::{
    Caller, CursorQuery, Kind, Outbox, Roles, UserId, job,
    mail::Mail,
    outbox::{self, Stage, send_soon},
    testing::{TestClock, TestDb, explain},
};
use sea_orm::DbBackend;

use crate::outbox::with_host_table;

fn staff() -> Caller {
    Caller::new(UserId(1), Roles { staff: true, ..Roles::default() })
}

fn mail() -> Mail {
    Mail { to: "a@b.c".into(), subject: "s".into(), text: "t".into(), html: "t".into(), unsubscribe_url: None }
}

#[tokio::test]
async fn a_message_that_may_be_leased_is_not_made_due() {
    let (db, clock) = (TestDb::new(with_host_table).await, TestClock::default());
    let outbox = Outbox::new(db.handle(), clock.clock());
    let (outbox, mail) = (&outbox, &mail());
    let day = Duration::from_secs(24 * 3600);
    db.write(|tx| async move { outbox.enqueue_email(&tx, None, mail, day).await }).await.unwrap();
    let id = outbox::unsent(db.conn(), 1).await.unwrap()[0].id;
    // It is due already: nothing changes.
    let now = clock.clock().now();
    send_soon(&db, &staff(), id, now).await.unwrap();
    for (ahead, is_changed) in [(119, false), (600, true)] {
        let next_at = (now + Duration::from_secs(ahead)).unix_micros();
        db.sql(&format!("UPDATE kernel_outbox SET next_at = {next_at}")).await.unwrap();
        let error = send_soon(&db, &staff(), id, now).await.err();
        assert_eq!(error.map(|error| error.code() == "delivery_in_progress"), (!is_changed).then_some(true));
        let stored = db.query_i64("SELECT next_at FROM kernel_outbox").await;
        assert_eq!(stored, if is_changed { now.unix_micros() } else { next_at });
    }
    assert_eq!(db.count_rows("kernel_audit_event").await, 1);
    db.sql("UPDATE kernel_outbox SET next_at = NULL, payload = NULL").await.unwrap();
    assert_eq!(send_soon(&db, &staff(), id, now).await.unwrap_err().code(), "not_waiting");
    assert_eq!(send_soon(&db, &staff(), id + 1, now).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn unsent_messages_are_found_among_many_sent_ones_by_an_index() {
    let db = TestDb::new(with_host_table).await;
    for stage in [Stage::Waiting, Stage::Failed] {
        db.record_statements();
        outbox::summaries(db.conn(), Some(stage), &CursorQuery::newest(50)).await.unwrap();
        let statement = db.record_statements().pop().unwrap();
        let plan = explain(&db, statement).await;
        if db.backend() == DbBackend::Sqlite {
            assert!(plan.contains("kernel_outbox_unsent") && !plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}

#[tokio::test]
async fn a_running_job_is_not_made_due() {
    let (db, clock) = (TestDb::new(with_host_table).await, TestClock::default());
    let now = clock.clock().now();
    let (started, until) = (now.unix_micros(), (now + Duration::from_secs(15 * 60)).unix_micros());
    let insert = format!("INSERT INTO kernel_job (name, next_at, last_run_at) VALUES ('a.b', {until}, {started})");
    db.sql(&insert).await.unwrap();
    let refused = job::run_soon(&db, &staff(), "a.b", now).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (Kind::Conflict, "job_running"));
    assert_eq!(db.count_rows("kernel_audit_event").await, 0);
    db.sql("UPDATE kernel_job SET next_at = next_at + 1").await.unwrap();
    job::run_soon(&db, &staff(), "a.b", now).await.unwrap();
    job::run_soon(&db, &staff(), "a.b", now).await.unwrap();
    assert_eq!(db.query_i64("SELECT next_at FROM kernel_job").await, now.unix_micros());
    assert_eq!(db.count_rows("kernel_audit_event").await, 1);
    assert_eq!(job::run_soon(&db, &staff(), "x", now).await.unwrap_err().kind(), Kind::NotFound);
}
