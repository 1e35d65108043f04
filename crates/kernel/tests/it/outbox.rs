//! Emails, jobs, secrets, the audit log and the doctor.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use guildhall_kernel::{
    Clock, HostTables, Origin, Outbox, Result, Timestamp, UserId, audit,
    db::SqlMigration,
    doctor::{Severity, examine, examine_outbox},
    job::{Job, Jobs},
    mail::{DeliveryError, Mail, Mailer},
    migrations,
    outbox::{EmailLimits, Unsolicited},
    secret,
    testing::TestDb,
};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use sea_orm_migration::MigrationTrait;
use tokio::sync::Mutex;

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn with_host_table() -> Vec<Box<dyn MigrationTrait>> {
    let up = "CREATE TABLE people (id {id}); INSERT INTO people DEFAULT VALUES; INSERT INTO people DEFAULT VALUES;";
    let people = SqlMigration::new("m20240101_000000_people", up, "DROP TABLE people;");
    let mut all: Vec<Box<dyn MigrationTrait>> = vec![Box::new(people)];
    all.extend(migrations(&HostTables { users: "people" }));
    all
}

/// A clock that the test controls.
#[derive(Clone, Default)]
struct TestClock(Arc<AtomicI64>);

impl TestClock {
    fn clock(&self) -> Clock {
        let seconds = self.0.clone();
        Clock::from_fn(move || Timestamp::from_unix_seconds(1_700_000_000 + seconds.load(Ordering::SeqCst)))
    }

    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

/// A mail server that fails with the given errors first, and then accepts everything.
#[derive(Default)]
struct Server {
    errors: Mutex<Vec<DeliveryError>>,
    recipients: Mutex<Vec<String>>,
}

#[async_trait]
impl Mailer for Server {
    async fn send(&self, _: i64, mail: &Mail) -> Result<(), DeliveryError> {
        if let Some(error) = self.errors.lock().await.pop() {
            return Err(error);
        }
        self.recipients.lock().await.push(mail.to.clone());
        Ok(())
    }

    async fn check(&self) -> Result<(), DeliveryError> {
        Ok(())
    }
}

fn failing_with(errors: Vec<DeliveryError>) -> Server {
    Server { errors: Mutex::new(errors), recipients: Mutex::default() }
}

async fn enqueue(db: &TestDb, outbox: &Outbox, to: &str) {
    let mail = Mail {
        to: to.into(),
        subject: "s".into(),
        text: "a secret".into(),
        html: "a secret".into(),
        unsubscribe_url: None,
    };
    let mail = &mail;
    db.write(|tx| async move { outbox.enqueue_email(&tx, Some(UserId(1)), mail, DAY).await }).await.unwrap();
}

async fn texts(db: &TestDb, sql: &str) -> Vec<String> {
    let rows = db.conn().query_all_raw(Statement::from_string(db.backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

#[tokio::test]
async fn an_email_is_enqueued_only_if_the_transaction_commits() {
    let db = TestDb::new(with_host_table).await;
    let outbox = Outbox::new(db.handle(), Clock::system());
    let outbox = &outbox;
    let refused = db
        .write(|tx| async move {
            let mail =
                Mail { to: "a".into(), subject: "s".into(), text: "t".into(), html: "h".into(), unsubscribe_url: None };
            outbox.enqueue_email(&tx, None, &mail, DAY).await?;
            Err::<(), _>(DbErr::Custom("no".into()))
        })
        .await;
    assert!(refused.is_err());
    assert_eq!(outbox.waiting().await.unwrap(), (0, None));
    enqueue(&db, outbox, "anna@example.org").await;
    assert_eq!(outbox.waiting().await.unwrap().0, 1);
    let server = Server::default();
    assert_eq!(outbox.deliver_emails(&server).await.unwrap(), 1);
    assert_eq!(outbox.deliver_emails(&server).await.unwrap(), 0);
    assert_eq!(*server.recipients.lock().await, ["anna@example.org"]);
    assert!(texts(&db, "SELECT payload FROM kernel_outbox WHERE payload IS NOT NULL").await.is_empty());
}

#[tokio::test]
async fn transient_failures_are_retried_with_growing_delays() {
    let db = TestDb::new(with_host_table).await;
    let time = TestClock::default();
    let outbox = Outbox::new(db.handle(), time.clock());
    enqueue(&db, &outbox, "anna@example.org").await;
    let busy = || DeliveryError::Transient("busy".into());
    let server = failing_with(vec![busy(), busy(), busy()]);
    assert_eq!(outbox.deliver_emails(&server).await.unwrap(), 0);
    for delay in [10, 20, 40] {
        time.advance(delay - 1);
        outbox.deliver_emails(&server).await.unwrap();
        assert!(server.recipients.lock().await.is_empty(), "too early");
        time.advance(1);
        outbox.deliver_emails(&server).await.unwrap();
    }
    assert_eq!(server.recipients.lock().await.len(), 1);
}

#[tokio::test]
async fn a_permanently_failed_or_expired_email_is_not_retried_and_loses_its_content() {
    let db = TestDb::new(with_host_table).await;
    let time = TestClock::default();
    let outbox = Outbox::new(db.handle(), time.clock());
    enqueue(&db, &outbox, "nobody@example.org").await;
    let server = failing_with(vec![DeliveryError::Permanent("no such user".into())]);
    outbox.deliver_emails(&server).await.unwrap();
    assert_eq!(texts(&db, "SELECT last_error FROM kernel_outbox").await, ["no such user"]);
    enqueue(&db, &outbox, "late@example.org").await;
    time.advance(25 * 3600);
    outbox.deliver_emails(&server).await.unwrap();
    enqueue(&db, &outbox, "unsent@example.org").await;
    time.advance(25 * 3600);
    assert_eq!(outbox.waiting().await.unwrap().0, 1);
    assert_eq!(outbox.prune(30 * DAY, 500).await.unwrap(), 0);
    assert!(server.recipients.lock().await.is_empty());
    assert_eq!(outbox.waiting().await.unwrap(), (0, None));
    assert!(texts(&db, "SELECT payload FROM kernel_outbox WHERE payload IS NOT NULL").await.is_empty());
    time.advance(25 * 3600);
    assert_eq!(outbox.prune(DAY, 500).await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_several_nodes_delivers_an_email() {
    let db = TestDb::with_connections(with_host_table, 6).await;
    let outbox = Outbox::new(db.handle(), Clock::system());
    for n in 0..30 {
        enqueue(&db, &outbox, &format!("{n}@example.org")).await;
    }
    let server = Arc::new(Server::default());
    let nodes = (0..4).map(|_| {
        let (outbox, server) = (Outbox::new(db.handle(), Clock::system()), server.clone());
        tokio::spawn(async move { outbox.deliver_emails(&*server).await.unwrap() })
    });
    for node in nodes.collect::<Vec<_>>() {
        node.await.unwrap();
    }
    let mut recipients = server.recipients.lock().await.clone();
    recipients.sort();
    recipients.dedup();
    assert_eq!((recipients.len(), server.recipients.lock().await.len()), (30, 30));
}

/// A mailer that never finishes.
struct Stalled;

#[async_trait]
impl Mailer for Stalled {
    async fn send(&self, _: i64, _: &Mail) -> Result<(), DeliveryError> {
        std::future::pending().await
    }

    async fn check(&self) -> Result<(), DeliveryError> {
        Ok(())
    }
}

#[tokio::test]
async fn an_email_is_delivered_by_another_node_after_a_crash() {
    let db = TestDb::new(with_host_table).await;
    let time = TestClock::default();
    let outbox = Outbox::new(db.handle(), time.clock());
    enqueue(&db, &outbox, "anna@example.org").await;
    let crashed = tokio::time::timeout(Duration::from_millis(200), outbox.deliver_emails(&Stalled)).await;
    assert!(crashed.is_err());
    let server = Server::default();
    assert_eq!(outbox.deliver_emails(&server).await.unwrap(), 0, "the lease has not ended");
    time.advance(121);
    assert_eq!(outbox.deliver_emails(&server).await.unwrap(), 1);
}

struct CountingJob {
    runs: AtomicU32,
    fails: bool,
}

#[async_trait]
impl Job for CountingJob {
    fn name(&self) -> &'static str {
        "test.count"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self) -> Result<()> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        if self.fails { Err(guildhall_kernel::Error::internal("a failure")) } else { Ok(()) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_due_job_is_run_by_one_node() {
    let db = TestDb::with_connections(with_host_table, 6).await;
    let time = TestClock::default();
    let job = Arc::new(CountingJob { runs: AtomicU32::new(0), fails: false });
    for hours in 1..=3 {
        let nodes = (0..4).map(|_| {
            let jobs = Jobs::new(db.handle(), time.clock(), vec![job.clone()]);
            tokio::spawn(async move { jobs.run_due().await.unwrap() })
        });
        let mut run = 0;
        for node in nodes.collect::<Vec<_>>() {
            run += node.await.unwrap();
        }
        assert_eq!((run, job.runs.load(Ordering::SeqCst)), (1, hours));
        time.advance(3601);
    }
}

#[tokio::test]
async fn a_failed_job_is_retried_soon() {
    let db = TestDb::new(with_host_table).await;
    let time = TestClock::default();
    let job = Arc::new(CountingJob { runs: AtomicU32::new(0), fails: true });
    let jobs = Jobs::new(db.handle(), time.clock(), vec![job.clone()]);
    jobs.run_due().await.unwrap();
    assert!(texts(&db, "SELECT last_error FROM kernel_job").await[0].contains("a failure"));
    assert_eq!(jobs.run_due().await.unwrap(), 0);
    time.advance(61);
    assert_eq!(jobs.run_due().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_secret_is_generated_once() {
    let db = TestDb::with_connections(with_host_table, 6).await;
    let tasks = (0..8).map(|_| {
        let db = db.handle();
        tokio::spawn(async move { secret::open(&db, "test").await.unwrap() })
    });
    let mut secrets = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        secrets.push(task.await.unwrap());
    }
    assert!(secrets.iter().all(|secret| *secret == secrets[0]) && secrets[0] != [0; 32]);
    assert_ne!(secret::open(&db, "other").await.unwrap(), secrets[0]);
}

#[tokio::test]
async fn the_audit_log_is_append_only_and_survives_the_removal_of_users() {
    let db = TestDb::new(with_host_table).await;
    let origin = Origin { ip: "203.0.113.9".parse().ok(), user_agent: None, request_id: Some("r".into()) };
    let write = db.write(|tx| async move {
        let event = audit::AuditEvent::new("test.thing").own(UserId(1), "anna").with("size", 3);
        event.record(&tx, Timestamp::EPOCH).await?;
        audit::AuditEvent::new("test.thing").refused().about(UserId(2), "").record(&tx, Timestamp::EPOCH).await
    });
    origin.scope(write).await.unwrap();
    let entries = audit::about(db.conn(), UserId(1), 10).await.unwrap();
    assert_eq!((entries.len(), entries[0].actor.as_str(), entries[0].outcome.as_str()), (1, "anna #1", "done"));
    assert_eq!((entries[0].ip.as_deref(), &entries[0].detail["size"]), (Some("203.0.113.9"), &3.into()));
    for change in ["DELETE FROM kernel_audit_event", "UPDATE kernel_audit_event SET outcome = 'done'"] {
        let result = db.write(|tx| async move { tx.execute_unprepared(change).await }).await;
        assert!(result.is_err(), "{change}");
    }
    let remove_user = "DELETE FROM people WHERE id = 1";
    db.write(|tx| async move { tx.execute_unprepared(remove_user).await }).await.unwrap();
    assert_eq!(texts(&db, "SELECT subject_label FROM kernel_audit_event WHERE subject_id IS NULL").await, ["anna #1"]);
}

#[tokio::test]
async fn the_doctor_finds_orphans_sequences_that_are_behind_and_clock_skew() {
    let db = TestDb::new(with_host_table).await;
    let now = Timestamp::now();
    assert!(examine(&db, now, false).await.unwrap().iter().all(|finding| finding.severity == Severity::Ok));
    if db.backend() == DbBackend::Sqlite {
        let damage = "PRAGMA foreign_keys = OFF; \
                    INSERT INTO kernel_outbox (channel, user_id, recipient, title, created_at, expires_at, attempts) \
                    VALUES ('mail', 999, '', '', 0, 0, 0); PRAGMA foreign_keys = ON";
        let other = sea_orm::Database::connect(db.url()).await.unwrap();
        other.execute_unprepared(damage).await.unwrap();
        let found = examine(&db, now, true).await.unwrap();
        let orphans = found.iter().find(|finding| finding.check == "orphans").unwrap();
        assert!(orphans.is_error() && orphans.message.contains("1 in kernel_outbox"), "{orphans:?}");
    } else {
        let damage = "INSERT INTO people (id) VALUES (500)";
        db.write(|tx| async move { tx.execute_unprepared(damage).await }).await.unwrap();
        let sequences = async |fix| {
            let found = examine(&db, now, fix).await.unwrap();
            found.into_iter().find(|finding| finding.check == "sequences").unwrap()
        };
        assert!(sequences(false).await.is_error());
        assert!(!sequences(true).await.is_error());
        assert_eq!(sequences(false).await.severity, Severity::Ok);
        let skewed = examine(&db, now + DAY, false).await.unwrap();
        assert!(skewed.iter().any(|finding| finding.check == "clock" && finding.is_error()));
    }
}

#[tokio::test]
async fn old_undelivered_emails_are_an_error_if_a_mail_server_is_configured() {
    let db = TestDb::new(with_host_table).await;
    let outbox = Outbox::new(db.handle(), Clock::system());
    let now = Timestamp::now();
    assert_eq!(examine_outbox(&outbox, now, true).await.unwrap().severity, Severity::Ok);
    enqueue(&db, &outbox, "anna@example.org").await;
    let later = now + Duration::from_secs(2 * 3600);
    assert_eq!(examine_outbox(&outbox, now, true).await.unwrap().severity, Severity::Ok);
    assert_eq!(examine_outbox(&outbox, later, true).await.unwrap().severity, Severity::Error);
    assert_eq!(examine_outbox(&outbox, later, false).await.unwrap().severity, Severity::Note);
}

/// A mail server that never responds for some recipients.
#[derive(Default)]
struct Unresponsive(Server);

#[async_trait]
impl Mailer for Unresponsive {
    fn at_once(&self) -> usize {
        4
    }

    async fn send(&self, id: i64, mail: &Mail) -> Result<(), DeliveryError> {
        if mail.to.starts_with("silent") {
            return std::future::pending().await;
        }
        self.0.send(id, mail).await
    }

    async fn check(&self) -> Result<(), DeliveryError> {
        Ok(())
    }
}

#[tokio::test]
async fn fault_5_unsolicited_emails_to_an_address_are_limited() {
    let db = TestDb::new(with_host_table).await;
    let time = TestClock::default();
    let outbox = Outbox::new(db.handle(), time.clock());
    let outbox = outbox.with_limits(EmailLimits { invitations_per_address: 2, reminders_per_address: 3 });
    let may = async |kind| outbox.may_email(db.conn(), kind, "Anna@Müller.example").await.unwrap();
    for to in ["anna@müller.example", "ANNA@xn--mller-kva.example"] {
        assert!(may(Unsolicited::Invitation).await);
        enqueue(&db, &outbox, to).await;
    }
    assert!(!may(Unsolicited::Invitation).await && may(Unsolicited::Reminder).await);
    enqueue(&db, &outbox, "anna@müller.example").await;
    assert!(!may(Unsolicited::Reminder).await);
    time.advance(24 * 3600 + 1);
    assert!(may(Unsolicited::Invitation).await);
}

#[tokio::test]
async fn fault_6_an_unresponsive_mail_server_does_not_block_other_emails() {
    let db = TestDb::new(with_host_table).await;
    let time = TestClock::default();
    let outbox = Outbox::new(db.handle(), time.clock());
    for to in ["silent@example.org", "a@example.org", "b@example.org"] {
        enqueue(&db, &outbox, to).await;
    }
    let outbox = outbox.with_delivery_limit(Duration::from_millis(300));
    let delivered =
        tokio::time::timeout(Duration::from_secs(10), outbox.deliver_emails(&Unresponsive::default())).await;
    assert_eq!(delivered.expect("the delivery ends").unwrap(), 2);
    let errors = texts(&db, "SELECT last_error FROM kernel_outbox WHERE last_error IS NOT NULL").await;
    assert!(errors.len() == 1 && errors[0].contains("no response"), "{errors:?}");
}

struct StalledJob;

#[async_trait]
impl Job for StalledJob {
    fn name(&self) -> &'static str {
        "test.hang"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self) -> Result<()> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn fault_6_a_stalled_job_does_not_block_others() {
    let db = TestDb::new(with_host_table).await;
    let time = TestClock::default();
    let counting = Arc::new(CountingJob { runs: AtomicU32::new(0), fails: false });
    let jobs = Jobs::new(db.handle(), time.clock(), vec![Arc::new(StalledJob), counting.clone()]);
    let run = tokio::spawn(async move { jobs.run_due().await });
    while counting.runs.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    run.abort();
}

#[tokio::test]
async fn fault_17_times_written_by_a_clock_that_was_ahead_are_due() {
    let db = TestDb::new(with_host_table).await;
    let time = TestClock::default();
    let outbox = Outbox::new(db.handle(), time.clock());
    let job = Arc::new(CountingJob { runs: AtomicU32::new(0), fails: false });
    let jobs = Jobs::new(db.handle(), time.clock(), vec![job.clone()]);
    time.advance(365 * 24 * 3600);
    enqueue(&db, &outbox, "anna@example.org").await;
    assert_eq!(jobs.run_due().await.unwrap(), 1);
    time.advance(-365 * 24 * 3600);
    assert_eq!(jobs.run_due().await.unwrap(), 1);
    assert_eq!(jobs.run_due().await.unwrap(), 0);
    assert_eq!(outbox.deliver_emails(&Server::default()).await.unwrap(), 1);
}
