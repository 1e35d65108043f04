//! Notifications beside a foreign user table, with a source whose events say what they cause.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use guildhall_kernel::{
    self as kernel, Caller, CursorQuery, Error, Outbox, PublicUrl, Roles, UserId,
    db::Tx,
    event::{Dispatcher, Emitted, Event},
    mail::EmailBranding,
    testing::{PEOPLE, TestClock, TestDb, fake_directory, migrations_with_people, signed_in_as},
};
use guildhall_notifications::{
    Host, NewNotification, Notification, NotificationFilter, NotificationKind, Notifications, Notifier, Source,
    SqlNotifications, Target, migrations, push::PushSender,
};
use guildhall_realtime::{OwnStream, SingleProcess, StreamHandler, Streams};
use sea_orm_migration::MigrationTrait;
use serde_json::Value;

/// Migrations with a user table of the host: ids 1 to 40.
fn all_migrations() -> Vec<Box<dyn MigrationTrait>> {
    let mut all = migrations_with_people(40);
    all.extend(guildhall_realtime::migrations(&PEOPLE));
    all.extend(migrations(&PEOPLE));
    all
}

kernel::define_events! {
    /// Something happened of which users are to be notified.
    Happened("things.happened", |event| format!("things/{}", event.post)) {
        /// Who is notified.
        recipients: Vec<i64>,
        /// The kind of notification.
        kind: NotificationKind,
        /// Who has caused it.
        actor: Option<i64>,
        /// The post that it is about.
        post: i64,
        /// The text about it.
        subject: String,
    }
    /// Something that notifies nobody.
    Ignored("things.ignored", |_| "things/0".to_owned()) {}
}

/// A source of which tests decide who may see what.
#[derive(Default)]
pub(crate) struct Posts {
    hidden: Mutex<HashSet<(i64, i64)>>,
    /// The number of questions who may see what.
    pub(crate) questions: AtomicUsize,
    /// Whether these questions fail.
    pub(crate) is_down: AtomicBool,
}

#[async_trait]
impl Source for Posts {
    fn events(&self) -> Vec<&'static str> {
        vec![Happened::NAME]
    }

    fn targets(&self) -> Vec<&'static str> {
        vec!["post"]
    }

    async fn notifications(&self, _: &Tx, event: &Emitted) -> kernel::Result<Vec<NewNotification>> {
        let Some(happened) = event.read::<Happened>()? else { return Ok(Vec::new()) };
        let url = format!("/posts/{}/", happened.post);
        let target = (happened.post > 0).then(|| Target { kind: "post".to_owned(), id: happened.post, url });
        let notification = |recipient: &i64| NewNotification {
            recipient: UserId(*recipient),
            kind: happened.kind,
            actor: happened.actor.map(UserId),
            target: target.clone(),
            group_key: format!("post/{}", happened.post),
            subject: happened.subject.clone(),
        };
        Ok(happened.recipients.iter().map(notification).collect())
    }

    async fn may_see(&self, user: UserId, kind: &str, ids: &[i64]) -> kernel::Result<HashSet<i64>> {
        assert_eq!(kind, "post");
        self.questions.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) {
            return Err(Error::unavailable("the source is down"));
        }
        let hidden = self.hidden.lock().unwrap();
        Ok(ids.iter().copied().filter(|id| !hidden.contains(&(user.0, *id))).collect())
    }
}

impl Posts {
    pub(crate) fn hide(&self, user: i64, post: i64) {
        self.hidden.lock().unwrap().insert((user, post));
    }

    pub(crate) fn reveal(&self, user: i64, post: i64) {
        self.hidden.lock().unwrap().remove(&(user, post));
    }
}

pub(crate) struct Harness {
    pub(crate) db: TestDb,
    pub(crate) clock: TestClock,
    pub(crate) posts: Arc<Posts>,
    pub(crate) streams: Streams,
    pub(crate) outbox: Outbox,
    pub(crate) service: SqlNotifications,
    pub(crate) notifier: Notifier,
    pub(crate) events: Dispatcher,
}

pub(crate) fn url(path: &str) -> PublicUrl {
    format!("https://example.org{path}").parse().unwrap()
}

pub(crate) async fn notifications() -> Harness {
    with_connections(1).await
}

pub(crate) async fn with_connections(connections: u32) -> Harness {
    on_database(TestDb::with_connections(all_migrations, connections).await, None).await
}

/// A database for what has to exist before the services.
pub(crate) async fn database() -> TestDb {
    TestDb::new(all_migrations).await
}

/// The services on a database.
pub(crate) async fn on_database(db: TestDb, push_sender: Option<Arc<dyn PushSender>>) -> Harness {
    let clock = TestClock::default();
    let posts = Arc::<Posts>::default();
    let handlers: Vec<Arc<dyn StreamHandler>> = vec![Arc::new(OwnStream)];
    let auth = signed_in_as(Roles::default());
    let settings = guildhall_realtime::Settings::default();
    let streams = Streams::new(db.handle(), clock.clock(), settings, auth, SingleProcess, handlers);
    let outbox = Outbox::new(db.handle(), clock.clock());
    let host = Host {
        clock: clock.clock(),
        tables: PEOPLE,
        directory: Arc::new(fake_directory(1..=40)),
        outbox: outbox.clone(),
        streams: streams.clone(),
        sources: Arc::from([posts.clone() as Arc<dyn Source>]),
        push_sender,
        branding: EmailBranding { service: "Guild".to_owned(), home: url("/app") },
        url: url(""),
    };
    let service = SqlNotifications::open(db.handle(), host).await.unwrap();
    streams.register(Arc::new(service.own_streams()));
    let notifier = service.notifier();
    let events = Dispatcher::new(db.handle(), clock.clock(), vec![Arc::new(notifier.clone())]);
    Harness { db, clock, posts, streams, outbox, service, notifier, events }
}

impl Harness {
    /// Emits an event and stores its notifications in the queue.
    pub(crate) async fn emit(&self, event: &Happened) {
        self.db.write(|tx| async move { tx.emit(event).await }).await.unwrap();
        self.events.dispatch().await.unwrap();
    }

    /// Emits an event and delivers its notifications.
    pub(crate) async fn happens(&self, event: &Happened) {
        self.emit(event).await;
        self.notifier.deliver().await.unwrap();
    }

    /// A user comments on the post of person 1.
    pub(crate) async fn comment(&self, actor: i64, post: i64) {
        self.happens(&comment(actor, post)).await;
    }

    pub(crate) async fn list(&self, user: i64) -> Vec<Notification> {
        self.list_with(user, NotificationFilter::default()).await
    }

    pub(crate) async fn list_with(&self, user: i64, filter: NotificationFilter) -> Vec<Notification> {
        self.service.notifications(&person(user), filter, CursorQuery::newest(100)).await.unwrap().results
    }

    pub(crate) async fn texts(&self, user: i64) -> Vec<String> {
        self.list(user).await.into_iter().map(|notification| notification.text).collect()
    }

    pub(crate) async fn unread(&self, user: i64) -> i64 {
        self.service.unread_notifications(&person(user)).await.unwrap().unread_count
    }

    /// The events of the stream of a user.
    pub(crate) async fn frames(&self, user: i64) -> Vec<Value> {
        let sql = format!(
            "SELECT e.body FROM realtime_event e JOIN realtime_stream s ON s.id = e.stream_id \
             WHERE s.name = 'user/{user}' ORDER BY e.seq"
        );
        self.db.query_texts(&sql).await.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }

    /// The messages in the outbox of a channel.
    pub(crate) async fn outgoing(&self, channel: &str) -> Vec<Value> {
        let sql = format!(
            "SELECT payload FROM kernel_outbox WHERE channel = '{channel}' AND payload IS NOT NULL ORDER BY id"
        );
        self.db.query_texts(&sql).await.iter().map(|payload| serde_json::from_str(payload).unwrap()).collect()
    }

    /// Sends what is due after some time, and returns all emails so far.
    pub(crate) async fn emails_after(&self, minutes: u64) -> Vec<Value> {
        self.clock.advance(Duration::from_secs(60 * minutes));
        self.service.due_messages().send().await.unwrap();
        self.outgoing("mail").await
    }
}

pub(crate) fn person(id: i64) -> Caller {
    Caller::new(UserId(id), Roles::default())
}

pub(crate) fn happened(kind: NotificationKind, recipient: i64, actor: Option<i64>, post: i64) -> Happened {
    Happened { recipients: vec![recipient], kind, actor, post, subject: "your post “Hello”".to_owned() }
}

/// A user comments on the post of person 1.
pub(crate) fn comment(actor: i64, post: i64) -> Happened {
    happened(NotificationKind::Comment, 1, Some(actor), post)
}

/// A user mentions person 1 in a post.
pub(crate) fn mention(actor: i64, post: i64) -> Happened {
    Happened { subject: "a post".to_owned(), ..happened(NotificationKind::Mention, 1, Some(actor), post) }
}
