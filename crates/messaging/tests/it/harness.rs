//! Messaging beside a foreign user table.

use std::{
    ops::Deref,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use guildhall_files::{Files, FolderStore, UploadLimits};
use guildhall_kernel::{
    self as kernel, Caller, CursorQuery, Person, Roles, UserId,
    cipher::KeyRing,
    http::PageFetcher,
    testing::{PEOPLE, TestClock, TestDb, fake_directory, migrations_with_people, signed_in_as},
};
use guildhall_messaging::{
    Conversation, ConversationId, Conversations, Error, Groups, History, Host, InboxFilter, Message, MessageId,
    Messages, MessagingStreams, NewGroup, NewMessage, PeopleSearch, Settings, SqlMessaging, Target, migrations,
};
use guildhall_realtime::{OwnStream, SingleProcess, Streams};
use sea_orm_migration::MigrationTrait;
use serde_json::Value;

/// The users of the host.
const USERS: std::ops::RangeInclusive<i64> = 1..=130;
/// A user whose account is not active.
pub(crate) const INACTIVE: i64 = 99;

/// Migrations with a user table of the host.
pub(crate) fn all_migrations() -> Vec<Box<dyn MigrationTrait>> {
    let mut all = migrations_with_people(130);
    all.extend(guildhall_files::migrations());
    all.extend(guildhall_realtime::migrations(&PEOPLE));
    all.extend(migrations(&PEOPLE));
    all
}

/// Knows whose accounts were deactivated; `None` if it fails.
struct FakePeople(Arc<Mutex<Option<Vec<i64>>>>);

#[async_trait]
impl PeopleSearch for FakePeople {
    async fn active(&self, users: &[UserId]) -> kernel::Result<Vec<UserId>> {
        let deactivated = self.0.lock().unwrap();
        let deactivated = deactivated.as_ref().ok_or_else(|| kernel::Error::unavailable("no users"))?;
        let is_active =
            |user: &&UserId| USERS.contains(&user.0) && user.0 != INACTIVE && !deactivated.contains(&user.0);
        Ok(users.iter().filter(is_active).copied().collect())
    }

    async fn search(&self, prefix: &str, after: Option<&str>, limit: u64) -> kernel::Result<Vec<Person>> {
        let mut names: Vec<(String, i64)> =
            USERS.filter(|id| *id != INACTIVE).map(|id| (format!("person-{id}"), id)).collect();
        names.sort();
        let is_found =
            |name: &String| name.starts_with(&prefix.to_lowercase()) && after.is_none_or(|after| name.as_str() > after);
        let person = |(name, id): (String, i64)| Person {
            id: UserId(id),
            username: name.clone(),
            display_name: name,
            avatar_url: None,
        };
        let found = names.into_iter().filter(|(name, _)| is_found(name)).map(person);
        Ok(found.take(usize::try_from(limit).unwrap()).collect())
    }
}

/// The file store, and the linked pages.
pub(crate) struct Outside {
    pub(crate) files: Files,
    /// The folder of the file store.
    folder: tempfile::TempDir,
    pages: Option<Arc<dyn PageFetcher>>,
}

impl Outside {
    pub(crate) async fn open(db: &TestDb, clock: &TestClock, pages: Option<Arc<dyn PageFetcher>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(FolderStore::new(folder.path()));
        let (mount, limits) = ("https://example.org/api".parse().unwrap(), UploadLimits::up_to(1 << 20));
        let files = Files::open(db.handle(), store, clock.clock(), mount, limits).await.unwrap();
        Self { files, folder, pages }
    }
}

pub(crate) struct Harness {
    pub(crate) db: TestDb,
    pub(crate) messaging: SqlMessaging,
    pub(crate) streams: Streams,
    pub(crate) handler: MessagingStreams,
    pub(crate) clock: TestClock,
    pub(crate) outside: Outside,
    /// Whose accounts were deactivated; `None` if looking up users fails.
    deactivated: Arc<Mutex<Option<Vec<i64>>>>,
}

impl Deref for Harness {
    type Target = SqlMessaging;

    fn deref(&self) -> &SqlMessaging {
        &self.messaging
    }
}

pub(crate) async fn messaging() -> Harness {
    messaging_with(1, Settings::default().without_limits()).await
}

pub(crate) async fn messaging_with(connections: u32, settings: Settings) -> Harness {
    with_pages(connections, settings, None).await
}

/// With linked pages.
pub(crate) async fn with_pages(connections: u32, settings: Settings, pages: Option<Arc<dyn PageFetcher>>) -> Harness {
    let db = TestDb::with_connections(all_migrations, connections).await;
    let clock = TestClock::default();
    let outside = Outside::open(&db, &clock, pages).await;
    Harness::open(db, clock, settings, KeyRing::default(), outside)
}

impl Harness {
    /// The services on a database, with keys.
    pub(crate) fn open(db: TestDb, clock: TestClock, settings: Settings, keys: KeyRing, outside: Outside) -> Self {
        let streams = Streams::encrypted(
            db.handle(),
            clock.clock(),
            guildhall_realtime::Settings::default(),
            signed_in_as(Roles::default()),
            SingleProcess,
            vec![Arc::new(OwnStream)],
            keys.clone(),
        );
        let deactivated = Arc::new(Mutex::new(Some(Vec::new())));
        let host = Host {
            clock: clock.clock(),
            directory: Arc::new(fake_directory(USERS)),
            people: Arc::new(FakePeople(deactivated.clone())),
            streams: streams.clone(),
            files: outside.files.clone(),
            page_fetcher: outside.pages.clone(),
            mount: "https://example.org/messaging/api".parse().unwrap(),
            keys,
        };
        let messaging = SqlMessaging::new(db.handle(), settings, host);
        let handler = MessagingStreams::new(&messaging);
        streams.register(Arc::new(handler.clone()));
        Self { db, messaging, streams, handler, clock, outside, deactivated }
    }

    /// The same installation after a restart with other keys.
    pub(crate) fn restart(self, keys: KeyRing) -> Self {
        Self::open(self.db, self.clock, Settings::default().without_limits(), keys, self.outside)
    }

    /// Deactivates the account of a user.
    pub(crate) fn deactivate(&self, user: i64) {
        self.deactivated.lock().unwrap().get_or_insert_default().push(user);
    }

    /// Has further look-ups of users fail.
    pub(crate) fn fail_to_look_up_people(&self) {
        *self.deactivated.lock().unwrap() = None;
    }

    /// The number of files in the store.
    pub(crate) async fn stored_files(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
        }
        self.outside.files.collect().await.unwrap();
        count(self.outside.folder.path())
    }

    /// Sends a message from one user to another.
    pub(crate) async fn say(&self, from: i64, to: i64, content: &str) -> Message {
        let sent = self.send(&person(from), Target::User(UserId(to)), NewMessage::text(content)).await;
        sent.unwrap().message
    }

    /// Sends a message to a conversation.
    pub(crate) async fn say_in(&self, from: i64, conversation: ConversationId, content: &str) -> Message {
        let to = Target::Conversation(conversation);
        self.send(&person(from), to, NewMessage::text(content)).await.unwrap().message
    }

    /// A group of these users; the first one owns it.
    pub(crate) async fn group(&self, users: &[i64]) -> ConversationId {
        let user_ids = users[1..].iter().copied().map(UserId).collect();
        let new = NewGroup { name: "Lunch".into(), user_ids };
        self.create_group(&person(users[0]), new).await.unwrap().conversation_id
    }

    /// The newest messages of two users, as the first one sees them.
    pub(crate) async fn history(&self, user: i64, other: i64) -> History {
        self.messages_with(&person(user), UserId(other), CursorQuery::newest(50)).await.unwrap()
    }

    /// The first page of a user's inbox.
    pub(crate) async fn inbox(&self, user: i64) -> Vec<Conversation> {
        let page = self.conversations(&person(user), InboxFilter::default(), CursorQuery::newest(50)).await;
        page.unwrap().results
    }

    /// The events of a stream.
    pub(crate) async fn events(&self, stream: &str) -> Vec<Value> {
        let sql = format!(
            "SELECT e.body FROM realtime_event e JOIN realtime_stream s ON s.id = e.stream_id \
             WHERE s.name = '{stream}' ORDER BY e.seq"
        );
        self.db.query_texts(&sql).await.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }

    /// The stored events that contain a text.
    pub(crate) async fn events_with(&self, text: &str) -> Vec<String> {
        self.db.query_texts(&format!("SELECT body FROM realtime_event WHERE body LIKE '%{text}%'")).await
    }

    /// The names of all streams with events.
    pub(crate) async fn stream_names(&self) -> Vec<String> {
        self.db.query_texts("SELECT name FROM realtime_stream ORDER BY name").await
    }

    /// The types of the events of a stream.
    pub(crate) async fn event_types(&self, stream: &str) -> Vec<String> {
        let name = |event: &Value| event["type"].as_str().unwrap().to_owned();
        self.events(stream).await.iter().map(name).collect()
    }
}

pub(crate) fn person(id: i64) -> Caller {
    Caller::new(UserId(id), Roles::default())
}

pub(crate) fn staff(id: i64) -> Caller {
    Caller::new(UserId(id), Roles { staff: true, ..Roles::default() })
}

pub(crate) fn contents(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.content.as_str()).collect()
}

pub(crate) fn ids(messages: &[Message]) -> Vec<MessageId> {
    messages.iter().map(|message| message.id).collect()
}

pub(crate) fn code<T>(outcome: Result<T, Error>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        Err(error) => kernel::Error::from(error).code().to_owned(),
    }
}
