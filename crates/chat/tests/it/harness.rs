//! Chat beside a foreign user table.

use std::{ops::Deref, sync::Arc};

use async_trait::async_trait;
use guildhall_chat::{
    ActiveUsers, ChatStreams, Error, Host, JoinRequest, Leave, Message, Messages, NewMessage, NewRoom, Participants,
    RequestRef, Requests, Room, RoomId, Rooms, Settings, SqlChat, migrations,
};
use guildhall_files::{Files, FolderStore, UploadLimits};
use guildhall_kernel::{
    self as kernel, Caller, CursorQuery, Roles, UserId,
    testing::{PEOPLE, TestClock, TestDb, fake_directory, migrations_with_people, signed_in_as},
};
use guildhall_realtime::{OwnStream, Position, SingleProcess, StreamName, Streams, Subscription};
use sea_orm_migration::MigrationTrait;
use serde_json::Value;
use tokio::sync::Notify;

/// The users of the host.
const USERS: std::ops::RangeInclusive<i64> = 1..=130;
/// A user whose account is not active.
pub(crate) const INACTIVE: i64 = 99;
/// The maximum size of an uploaded file, in bytes.
const UPLOAD_BYTES: usize = 1 << 20;

/// Migrations with a user table of the host.
fn all_migrations() -> Vec<Box<dyn MigrationTrait>> {
    let mut all = migrations_with_people(130);
    all.extend(guildhall_files::migrations());
    all.extend(guildhall_realtime::migrations(&PEOPLE));
    all.extend(migrations(&PEOPLE));
    all
}

struct FakeUsers;

#[async_trait]
impl ActiveUsers for FakeUsers {
    async fn active(&self, users: &[UserId]) -> kernel::Result<Vec<UserId>> {
        let is_active = |user: &&UserId| USERS.contains(&user.0) && user.0 != INACTIVE;
        Ok(users.iter().filter(is_active).copied().collect())
    }
}

pub(crate) struct Harness {
    pub(crate) db: TestDb,
    pub(crate) chat: SqlChat,
    pub(crate) streams: Streams,
    pub(crate) handler: ChatStreams,
    pub(crate) files: Files,
    pub(crate) clock: TestClock,
    _folder: tempfile::TempDir,
}

impl Deref for Harness {
    type Target = SqlChat;

    fn deref(&self) -> &SqlChat {
        &self.chat
    }
}

pub(crate) async fn chat() -> Harness {
    chat_with(1, Settings::default().without_limits()).await
}

pub(crate) async fn chat_with(connections: u32, settings: Settings) -> Harness {
    let db = TestDb::with_connections(all_migrations, connections).await;
    let clock = TestClock::default();
    let auth = signed_in_as(Roles::default());
    let realtime = guildhall_realtime::Settings::default();
    let streams = Streams::new(db.handle(), clock.clock(), realtime, auth, SingleProcess, vec![Arc::new(OwnStream)]);
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(FolderStore::new(folder.path()));
    let mount = "https://example.org/api".parse().unwrap();
    let limits = UploadLimits::up_to(UPLOAD_BYTES);
    let files = Files::open(db.handle(), store, clock.clock(), mount, limits).await.unwrap();
    let host = Host {
        clock: clock.clock(),
        directory: Arc::new(fake_directory(USERS)),
        users: Arc::new(FakeUsers),
        streams: streams.clone(),
        files: files.clone(),
        mount: "https://example.org/api".parse().unwrap(),
    };
    let chat = SqlChat::new(db.handle(), settings, host);
    let handler = ChatStreams::new(&chat);
    streams.register(Arc::new(handler.clone()));
    Harness { db, chat, streams, handler, files, clock, _folder: folder }
}

impl Harness {
    /// A room of a host, with further participants.
    pub(crate) async fn room_of(&self, host: i64, others: &[i64]) -> RoomId {
        self.room_with(host, others, NewRoom::named("den")).await
    }

    pub(crate) async fn room_with(&self, host: i64, others: &[i64], new: NewRoom) -> RoomId {
        let room = self.open_room(&teacher(host), new).await.unwrap().id;
        for user in others {
            self.invite(&person(host), room, UserId(*user)).await.unwrap();
        }
        room
    }

    /// Sends a message to a room.
    pub(crate) async fn say(&self, from: i64, room: RoomId, content: &str) -> Message {
        self.send(&person(from), room, NewMessage::text(content)).await.unwrap().message
    }

    pub(crate) async fn card(&self, user: i64, room: RoomId) -> Room {
        self.room(&person(user), room).await.unwrap()
    }

    pub(crate) async fn ask(&self, user: i64, room: RoomId) -> JoinRequest {
        self.join(&person(user), room).await.unwrap().request
    }

    pub(crate) async fn leave_room(&self, user: i64, room: RoomId) -> Result<(), Error> {
        self.leave(&person(user), room, Leave::default()).await
    }

    /// The texts of the newest messages as a user sees them, oldest first.
    pub(crate) async fn history(&self, user: i64, room: RoomId) -> Vec<String> {
        let page = self.messages(&person(user), room, CursorQuery::newest(50)).await.unwrap();
        page.results.into_iter().rev().map(|message| message.content).collect()
    }

    /// The events of a room's stream.
    pub(crate) async fn events(&self, room: RoomId) -> Vec<Value> {
        let sql = format!(
            "SELECT e.body FROM realtime_event e JOIN realtime_stream s ON s.id = e.stream_id \
             WHERE s.name = 'chat/{room}' ORDER BY e.seq"
        );
        self.db.query_texts(&sql).await.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }

    /// Follows a room from now on.
    pub(crate) async fn follow(&self, user: i64, room: RoomId) -> Result<Subscription, String> {
        self.follow_from(user, room, Position::default()).await
    }

    pub(crate) async fn follow_from(
        &self,
        user: i64,
        room: RoomId,
        position: Position,
    ) -> Result<Subscription, String> {
        let started = self.streams.subscribe(&person(user), &stream(room), position, &Arc::new(Notify::new())).await;
        started.map(|started| started.subscription).map_err(|error| error.code().to_owned())
    }
}

pub(crate) fn stream(room: RoomId) -> StreamName {
    StreamName::new("chat", room.0)
}

pub(crate) fn person(id: i64) -> Caller {
    Caller::new(UserId(id), Roles::default())
}

pub(crate) fn teacher(id: i64) -> Caller {
    Caller::new(UserId(id), Roles { teacher: true, ..Roles::default() })
}

pub(crate) fn staff(id: i64) -> Caller {
    Caller::new(UserId(id), Roles { staff: true, ..Roles::default() })
}

/// The request of a user.
pub(crate) fn of(user: i64) -> RequestRef {
    RequestRef { user_id: Some(UserId(user)), request_id: None }
}

pub(crate) fn code<T>(outcome: Result<T, Error>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        Err(error) => kernel::Error::from(error).code().to_owned(),
    }
}
