//! Letters and jobs: at least once, by one node, with patience.

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
    mail::{Mail, Mailer, Undelivered},
    migrations,
    outbox::{EmailLimits, Unasked},
    secret,
    testing::TestDb,
};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use sea_orm_migration::MigrationTrait;
use tokio::sync::Mutex;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn beside_people() -> Vec<Box<dyn MigrationTrait>> {
    let up = "CREATE TABLE people (id {id}); INSERT INTO people DEFAULT VALUES; INSERT INTO people DEFAULT VALUES;";
    let people = SqlMigration::new("m20240101_000000_people", up, "DROP TABLE people;");
    let mut all: Vec<Box<dyn MigrationTrait>> = vec![Box::new(people)];
    all.extend(migrations(&HostTables { users: "people" }));
    all
}

/// A clock that a test can move.
#[derive(Clone, Default)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn clock(&self) -> Clock {
        let ahead = self.0.clone();
        Clock::from_fn(move || Timestamp::from_unix_seconds(1_700_000_000 + ahead.load(Ordering::SeqCst)))
    }

    fn wait(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

/// A mail server that says each time what it was told to say, and then takes everything.
#[derive(Default)]
struct Server {
    moods: Mutex<Vec<Undelivered>>,
    taken: Mutex<Vec<String>>,
}

#[async_trait]
impl Mailer for Server {
    async fn send(&self, _: i64, mail: &Mail) -> Result<(), Undelivered> {
        if let Some(refusal) = self.moods.lock().await.pop() {
            return Err(refusal);
        }
        self.taken.lock().await.push(mail.to.clone());
        Ok(())
    }

    async fn check(&self) -> Result<(), Undelivered> {
        Ok(())
    }
}

fn refusing(moods: Vec<Undelivered>) -> Server {
    Server { moods: Mutex::new(moods), taken: Mutex::default() }
}

async fn post(db: &TestDb, outbox: &Outbox, to: &str) {
    let mail = Mail { to: to.into(), subject: "s".into(), text: "a secret".into(), html: "a secret".into() };
    let mail = &mail;
    db.write(|tx| async move { outbox.post(tx.conn(), Some(UserId(1)), mail, DAY).await }).await.unwrap();
}

async fn texts(db: &TestDb, sql: &str) -> Vec<String> {
    let rows = db.conn().query_all_raw(Statement::from_string(db.backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

#[tokio::test]
async fn a_letter_is_stored_with_its_act_or_not_at_all() {
    let db = TestDb::new(beside_people).await;
    let outbox = Outbox::new(db.handle(), Clock::system());
    let outbox = &outbox;
    let refused = db
        .write(|tx| async move {
            let mail = Mail { to: "a".into(), subject: "s".into(), text: "t".into(), html: "h".into() };
            outbox.post(tx.conn(), None, &mail, DAY).await?;
            Err::<(), _>(DbErr::Custom("no".into()))
        })
        .await;
    assert!(refused.is_err());
    assert_eq!(outbox.waiting().await.unwrap(), (0, None));
    post(&db, outbox, "anna@example.org").await;
    assert_eq!(outbox.waiting().await.unwrap().0, 1);
    let server = Server::default();
    assert_eq!(outbox.deliver(&server).await.unwrap(), 1);
    assert_eq!(outbox.deliver(&server).await.unwrap(), 0);
    assert_eq!(*server.taken.lock().await, ["anna@example.org"]);
    assert!(texts(&db, "SELECT payload FROM kernel_outbox WHERE payload IS NOT NULL").await.is_empty());
}

#[tokio::test]
async fn what_was_refused_for_now_is_tried_again_later_and_later() {
    let db = TestDb::new(beside_people).await;
    let hands = Hands::default();
    let outbox = Outbox::new(db.handle(), hands.clock());
    post(&db, &outbox, "anna@example.org").await;
    let later = || Undelivered::ForNow("busy".into());
    let server = refusing(vec![later(), later(), later()]);
    assert_eq!(outbox.deliver(&server).await.unwrap(), 0);
    for pause in [10, 20, 40] {
        hands.wait(pause - 1);
        outbox.deliver(&server).await.unwrap();
        assert!(server.taken.lock().await.is_empty(), "too early");
        hands.wait(1);
        outbox.deliver(&server).await.unwrap();
    }
    assert_eq!(server.taken.lock().await.len(), 1);
}

#[tokio::test]
async fn what_was_refused_for_good_or_has_expired_is_given_up_and_forgotten() {
    let db = TestDb::new(beside_people).await;
    let hands = Hands::default();
    let outbox = Outbox::new(db.handle(), hands.clock());
    post(&db, &outbox, "nobody@example.org").await;
    let server = refusing(vec![Undelivered::ForGood("no such person".into())]);
    outbox.deliver(&server).await.unwrap();
    assert_eq!(texts(&db, "SELECT last_error FROM kernel_outbox").await, ["no such person"]);
    post(&db, &outbox, "late@example.org").await;
    hands.wait(25 * 3600);
    outbox.deliver(&server).await.unwrap();
    post(&db, &outbox, "unsent@example.org").await;
    hands.wait(25 * 3600);
    assert_eq!(outbox.waiting().await.unwrap().0, 1);
    assert_eq!(outbox.prune(30 * DAY, 500).await.unwrap(), 0);
    assert!(server.taken.lock().await.is_empty());
    assert_eq!(outbox.waiting().await.unwrap(), (0, None));
    assert!(texts(&db, "SELECT payload FROM kernel_outbox WHERE payload IS NOT NULL").await.is_empty());
    hands.wait(25 * 3600);
    assert_eq!(outbox.prune(DAY, 500).await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_nodes_one_takes_a_letter() {
    let db = TestDb::with_connections(beside_people, 6).await;
    let outbox = Outbox::new(db.handle(), Clock::system());
    for n in 0..30 {
        post(&db, &outbox, &format!("{n}@example.org")).await;
    }
    let server = Arc::new(Server::default());
    let nodes = (0..4).map(|_| {
        let (outbox, server) = (Outbox::new(db.handle(), Clock::system()), server.clone());
        tokio::spawn(async move { outbox.deliver(&*server).await.unwrap() })
    });
    for node in nodes.collect::<Vec<_>>() {
        node.await.unwrap();
    }
    let mut taken = server.taken.lock().await.clone();
    taken.sort();
    taken.dedup();
    assert_eq!((taken.len(), server.taken.lock().await.len()), (30, 30));
}

/// A mailer that dies while it hands a letter over.
struct Dying;
#[async_trait]
impl Mailer for Dying {
    async fn send(&self, _: i64, _: &Mail) -> Result<(), Undelivered> {
        std::future::pending().await
    }

    async fn check(&self) -> Result<(), Undelivered> {
        Ok(())
    }
}

#[tokio::test]
async fn a_letter_whose_carrier_died_is_taken_by_another() {
    let db = TestDb::new(beside_people).await;
    let hands = Hands::default();
    let outbox = Outbox::new(db.handle(), hands.clock());
    post(&db, &outbox, "anna@example.org").await;
    let dying = tokio::time::timeout(Duration::from_millis(200), outbox.deliver(&Dying)).await;
    assert!(dying.is_err());
    let server = Server::default();
    assert_eq!(outbox.deliver(&server).await.unwrap(), 0, "somebody has it");
    hands.wait(121);
    assert_eq!(outbox.deliver(&server).await.unwrap(), 1);
}

struct Counting {
    done: AtomicU32,
    fails: bool,
}

#[async_trait]
impl Job for Counting {
    fn name(&self) -> &'static str {
        "test.count"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self) -> Result<()> {
        self.done.fetch_add(1, Ordering::SeqCst);
        if self.fails { Err(guildhall_kernel::Error::internal("it rained")) } else { Ok(()) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_job_is_done_by_one_node_when_it_is_due() {
    let db = TestDb::with_connections(beside_people, 6).await;
    let hands = Hands::default();
    let job = Arc::new(Counting { done: AtomicU32::new(0), fails: false });
    for hours in 1..=3 {
        let nodes = (0..4).map(|_| {
            let jobs = Jobs::new(db.handle(), hands.clock(), vec![job.clone()]);
            tokio::spawn(async move { jobs.run_due().await.unwrap() })
        });
        let mut done = 0;
        for node in nodes.collect::<Vec<_>>() {
            done += node.await.unwrap();
        }
        assert_eq!((done, job.done.load(Ordering::SeqCst)), (1, hours));
        hands.wait(3601);
    }
}

#[tokio::test]
async fn a_job_that_failed_is_tried_again_soon() {
    let db = TestDb::new(beside_people).await;
    let hands = Hands::default();
    let job = Arc::new(Counting { done: AtomicU32::new(0), fails: true });
    let jobs = Jobs::new(db.handle(), hands.clock(), vec![job.clone()]);
    jobs.run_due().await.unwrap();
    assert!(texts(&db, "SELECT last_error FROM kernel_job").await[0].contains("it rained"));
    assert_eq!(jobs.run_due().await.unwrap(), 0);
    hands.wait(61);
    assert_eq!(jobs.run_due().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_secret_is_made_once() {
    let db = TestDb::with_connections(beside_people, 6).await;
    let asked = (0..8).map(|_| {
        let db = db.handle();
        tokio::spawn(async move { secret::open(&db, "test").await.unwrap() })
    });
    let mut secrets = Vec::new();
    for one in asked.collect::<Vec<_>>() {
        secrets.push(one.await.unwrap());
    }
    assert!(secrets.iter().all(|secret| *secret == secrets[0]) && secrets[0] != [0; 32]);
    assert_ne!(secret::open(&db, "other").await.unwrap(), secrets[0]);
}

#[tokio::test]
async fn the_log_keeps_what_happened_when_people_go() {
    let db = TestDb::new(beside_people).await;
    let here = Origin { ip: "203.0.113.9".parse().ok(), user_agent: None, request_id: Some("r".into()) };
    let write = db.write(|tx| async move {
        let event = audit::Event::new("test.thing").own(UserId(1), "anna").with("size", 3);
        event.record(tx.conn(), Timestamp::EPOCH).await?;
        audit::Event::new("test.thing").refused().about(UserId(2), "").record(tx.conn(), Timestamp::EPOCH).await
    });
    here.scope(write).await.unwrap();
    let told = audit::about(db.conn(), UserId(1), 10).await.unwrap();
    assert_eq!((told.len(), told[0].actor.as_str(), told[0].outcome.as_str()), (1, "anna #1", "done"));
    assert_eq!((told[0].ip.as_deref(), &told[0].detail["size"]), (Some("203.0.113.9"), &3.into()));
    for harm in ["DELETE FROM kernel_audit_event", "UPDATE kernel_audit_event SET outcome = 'done'"] {
        let done = db.write(|tx| async move { tx.conn().execute_unprepared(harm).await }).await;
        assert!(done.is_err(), "{harm}");
    }
    let go = "DELETE FROM people WHERE id = 1";
    db.write(|tx| async move { tx.conn().execute_unprepared(go).await }).await.unwrap();
    assert_eq!(texts(&db, "SELECT subject_label FROM kernel_audit_event WHERE subject_id IS NULL").await, ["anna #1"]);
}

#[tokio::test]
async fn an_examination_finds_rows_that_point_at_nothing_and_numbers_that_come_again() {
    let db = TestDb::new(beside_people).await;
    let now = Timestamp::now();
    assert!(examine(&db, now, false).await.unwrap().iter().all(|finding| finding.severity == Severity::Ok));
    if db.backend() == DbBackend::Sqlite {
        let harm = "PRAGMA foreign_keys = OFF; \
                    INSERT INTO kernel_outbox (channel, user_id, recipient, title, created_at, expires_at, attempts) \
                    VALUES ('mail', 999, '', '', 0, 0, 0); PRAGMA foreign_keys = ON";
        let other = sea_orm::Database::connect(db.url()).await.unwrap();
        other.execute_unprepared(harm).await.unwrap();
        let found = examine(&db, now, true).await.unwrap();
        let orphans = found.iter().find(|finding| finding.check == "orphans").unwrap();
        assert!(orphans.is_fault() && orphans.message.contains("1 in kernel_outbox"), "{orphans:?}");
    } else {
        let harm = "INSERT INTO people (id) VALUES (500)";
        db.write(|tx| async move { tx.conn().execute_unprepared(harm).await }).await.unwrap();
        let sequences = async |fix| {
            let found = examine(&db, now, fix).await.unwrap();
            found.into_iter().find(|finding| finding.check == "sequences").unwrap()
        };
        assert!(sequences(false).await.is_fault());
        assert!(!sequences(true).await.is_fault());
        assert_eq!(sequences(false).await.severity, Severity::Ok);
        let skewed = examine(&db, now + DAY, false).await.unwrap();
        assert!(skewed.iter().any(|finding| finding.check == "clock" && finding.is_fault()));
    }
}

#[tokio::test]
async fn letters_that_wait_for_long_are_a_fault_where_there_is_a_server() {
    let db = TestDb::new(beside_people).await;
    let outbox = Outbox::new(db.handle(), Clock::system());
    let now = Timestamp::now();
    assert_eq!(examine_outbox(&outbox, now, true).await.unwrap().severity, Severity::Ok);
    post(&db, &outbox, "anna@example.org").await;
    let later = now + Duration::from_secs(2 * 3600);
    assert_eq!(examine_outbox(&outbox, now, true).await.unwrap().severity, Severity::Ok);
    assert_eq!(examine_outbox(&outbox, later, true).await.unwrap().severity, Severity::Fault);
    assert_eq!(examine_outbox(&outbox, later, false).await.unwrap().severity, Severity::Note);
}

/// A mail server that takes connections and never says anything to some recipients.
#[derive(Default)]
struct Silent(Server);

#[async_trait]
impl Mailer for Silent {
    fn at_once(&self) -> usize {
        4
    }

    async fn send(&self, id: i64, mail: &Mail) -> Result<(), Undelivered> {
        if mail.to.starts_with("silent") {
            return std::future::pending().await;
        }
        self.0.send(id, mail).await
    }

    async fn check(&self) -> Result<(), Undelivered> {
        Ok(())
    }
}

#[tokio::test]
async fn fault_5_an_address_is_sent_only_so_much_that_others_cause() {
    let db = TestDb::new(beside_people).await;
    let hands = Hands::default();
    let outbox = Outbox::new(db.handle(), hands.clock());
    let outbox = outbox.with_limits(EmailLimits { invitations_per_address: 2, reminders_per_address: 3 });
    let may = async |unasked| outbox.may_post(db.conn(), unasked, "Anna@Müller.example").await.unwrap();
    for to in ["anna@müller.example", "ANNA@xn--mller-kva.example"] {
        assert!(may(Unasked::Invitation).await);
        post(&db, &outbox, to).await;
    }
    assert!(!may(Unasked::Invitation).await && may(Unasked::Reminder).await);
    post(&db, &outbox, "anna@müller.example").await;
    assert!(!may(Unasked::Reminder).await);
    hands.wait(24 * 3600 + 1);
    assert!(may(Unasked::Invitation).await);
}

#[tokio::test]
async fn fault_6_a_silent_mail_server_holds_nothing_up_for_ever() {
    let db = TestDb::new(beside_people).await;
    let hands = Hands::default();
    let outbox = Outbox::new(db.handle(), hands.clock());
    for to in ["silent@example.org", "a@example.org", "b@example.org"] {
        post(&db, &outbox, to).await;
    }
    let outbox = outbox.with_delivery_limit(Duration::from_millis(300));
    let delivered = tokio::time::timeout(Duration::from_secs(10), outbox.deliver(&Silent::default())).await;
    assert_eq!(delivered.expect("it comes to an end").unwrap(), 2);
    let errors = texts(&db, "SELECT last_error FROM kernel_outbox WHERE last_error IS NOT NULL").await;
    assert!(errors.len() == 1 && errors[0].contains("no answer"), "{errors:?}");
}

struct Hanging;

#[async_trait]
impl Job for Hanging {
    fn name(&self) -> &'static str {
        "test.hang"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self) -> Result<()> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn fault_6_a_job_that_hangs_holds_up_no_other() {
    let db = TestDb::new(beside_people).await;
    let hands = Hands::default();
    let counting = Arc::new(Counting { done: AtomicU32::new(0), fails: false });
    let jobs = Jobs::new(db.handle(), hands.clock(), vec![Arc::new(Hanging), counting.clone()]);
    let run = tokio::spawn(async move { jobs.run_due().await });
    while counting.done.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    run.abort();
}

#[tokio::test]
async fn fault_17_what_a_clock_that_was_ahead_has_put_off_is_due() {
    let db = TestDb::new(beside_people).await;
    let hands = Hands::default();
    let outbox = Outbox::new(db.handle(), hands.clock());
    let job = Arc::new(Counting { done: AtomicU32::new(0), fails: false });
    let jobs = Jobs::new(db.handle(), hands.clock(), vec![job.clone()]);
    hands.wait(365 * 24 * 3600);
    post(&db, &outbox, "anna@example.org").await;
    assert_eq!(jobs.run_due().await.unwrap(), 1);
    hands.wait(-365 * 24 * 3600);
    assert_eq!(jobs.run_due().await.unwrap(), 1);
    assert_eq!(jobs.run_due().await.unwrap(), 0);
    assert_eq!(outbox.deliver(&Server::default()).await.unwrap(), 1);
}
