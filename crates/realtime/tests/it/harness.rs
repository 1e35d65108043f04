//! Streams on a database, and a server for sockets.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    routing::any,
};
use futures_util::{SinkExt, StreamExt};
use guildhall_kernel::{
    Auth, Authenticate, Caller, Clock, Credentials, Db, Error, Kind, Origin, Result, Roles, SessionId, Timestamp,
    UserId, UserTokenId,
    testing::{PEOPLE, TestDb, migrations_with_people},
};
use guildhall_realtime::{
    Command, Frame, Handshake, OwnStream, RealtimeState, Seq, Settings, SingleProcess, StreamHandler, StreamName,
    Streams, migrations, router,
};
use sea_orm_migration::MigrationTrait;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

pub(crate) fn all_migrations() -> Vec<Box<dyn MigrationTrait>> {
    let mut all = migrations_with_people(20);
    all.extend(migrations(&PEOPLE));
    all
}

/// Rooms that the tests append to. The user 13 may follow none, and those of the list are removed. The room 100 is
/// for staff.
#[derive(Default)]
pub(crate) struct Rooms {
    pub(crate) removed: Mutex<Vec<UserId>>,
    /// The numbers of events that nobody may see any more.
    pub(crate) hidden: Mutex<Vec<Seq>>,
    /// Whose access was checked.
    pub(crate) checked: Mutex<Vec<UserId>>,
    /// The numbers of the events of each question which of them are hidden.
    pub(crate) questions: Mutex<Vec<Vec<Seq>>>,
    pub(crate) has_first_event: AtomicBool,
}

#[async_trait]
impl StreamHandler for Rooms {
    fn kinds(&self) -> Vec<&'static str> {
        vec!["room"]
    }

    async fn visible_after(&self, caller: &Caller, stream: &StreamName) -> Result<Option<Seq>> {
        self.checked.lock().unwrap().push(caller.user);
        if stream.id() == Some(404) {
            return Err(Error::new(Kind::NotFound, "room_not_found", "Not found."));
        }
        let is_removed = self.removed.lock().unwrap().contains(&caller.user);
        let is_for_staff = stream.id() == Some(100);
        Ok((caller.user != UserId(13) && !is_removed && (caller.roles.staff || !is_for_staff)).then_some(0))
    }

    fn first_event(&self) -> Option<Value> {
        self.has_first_event.load(Ordering::SeqCst).then(|| json!({ "type": "began" }))
    }

    async fn hidden(&self, _: &Caller, _: &StreamName, events: &[Arc<Frame>]) -> Result<HashSet<Seq>> {
        self.questions.lock().unwrap().push(events.iter().map(|event| event.seq).collect());
        Ok(self.hidden.lock().unwrap().iter().copied().collect())
    }

    async fn handle(&self, caller: &Caller, _: &StreamName, kind: &str, command: Command) -> Result<Option<Value>> {
        match kind {
            "message" => Ok(Some(json!({ "type": "echo", "user": caller.user, "content": command.get("content") }))),
            "roles" => Ok(Some(json!({ "type": "roles", "roles": caller.roles }))),
            "fail" => Err(Error::internal("the disk is full")),
            _ => Err(guildhall_realtime::unknown_type(kind)),
        }
    }
}

/// Tokens are user ids, optionally with a session, an expiry in seconds and `r` for read-only: `5.7.60.r`. One with the
/// session 0 is the user token `5.0.60.r.9`.
#[derive(Clone)]
pub(crate) struct Numbers {
    pub(crate) clock: Clock,
    /// Sessions that have ended.
    pub(crate) ended: Arc<Mutex<Vec<SessionId>>>,
    /// User tokens that were deleted.
    pub(crate) deleted: Arc<Mutex<Vec<UserTokenId>>>,
    /// Users who are staff.
    pub(crate) staff: Arc<Mutex<Vec<UserId>>>,
}

impl Numbers {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, ended: Arc::default(), deleted: Arc::default(), staff: Arc::default() }
    }

    fn roles(&self, user: UserId) -> Roles {
        Roles { staff: self.staff.lock().unwrap().contains(&user), ..Roles::default() }
    }
}

#[async_trait]
impl Authenticate for Numbers {
    async fn authenticate(&self, credentials: Credentials) -> Result<Caller> {
        let mut parts = credentials.secret().split('.');
        let mut number = || parts.next().and_then(|part| part.parse::<i64>().ok());
        let refused = || Error::new(Kind::Unauthenticated, "token_not_valid", "Invalid token.");
        let user = number().ok_or_else(refused)?;
        let session = number().filter(|id| *id > 0).map(SessionId);
        let expires_at =
            number().map(|seconds| self.clock.now() + Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
        let read_only = parts.next() == Some("r");
        let token = parts.next().and_then(|part| part.parse().ok()).map(UserTokenId);
        let caller = Caller::new(UserId(user), self.roles(UserId(user)));
        Ok(Caller { session, token, expires_at, read_only, ..caller })
    }

    async fn recheck(&self, callers: &[Caller]) -> Result<Vec<Option<Caller>>> {
        let (ended, deleted) = (self.ended.lock().unwrap(), self.deleted.lock().unwrap());
        let is_valid = |caller: &Caller| {
            !caller.session.is_some_and(|session| ended.contains(&session))
                && !caller.token.is_some_and(|token| deleted.contains(&token))
        };
        let now = |caller: &Caller| Caller { roles: self.roles(caller.user), ..*caller };
        Ok(callers.iter().map(|caller| is_valid(caller).then(|| now(caller))).collect())
    }
}

pub(crate) struct Harness {
    pub(crate) db: TestDb,
    pub(crate) streams: Streams,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) auth: Numbers,
    time: Arc<AtomicI64>,
}

pub(crate) async fn harness() -> Harness {
    harness_with(Settings::default()).await
}

pub(crate) async fn harness_with(settings: Settings) -> Harness {
    let db = TestDb::new(all_migrations).await;
    let time = Arc::new(AtomicI64::new(1_700_000_000_000_000));
    let reads = time.clone();
    let clock = Clock::from_fn(move || Timestamp::from_unix_micros(reads.load(Ordering::SeqCst)));
    let rooms = Arc::new(Rooms::default());
    let handlers: Vec<Arc<dyn StreamHandler>> = vec![rooms.clone(), Arc::new(OwnStream)];
    let auth = Numbers::new(clock.clone());
    let streams = Streams::new(Db::clone(&db), clock, settings, Auth::new(auth.clone()), SingleProcess, handlers);
    Harness { db, streams, rooms, auth, time }
}

pub(crate) fn room(id: i64) -> StreamName {
    StreamName::new("room", id)
}

impl Harness {
    pub(crate) fn advance(&self, seconds: i64) {
        self.time.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    /// Appends an event in a transaction of its own.
    pub(crate) async fn append(&self, stream: &StreamName, event: Value) -> Seq {
        let event = &event;
        self.db.write(|tx| async move { self.streams.append(&tx, stream, event).await }).await.unwrap()
    }

    pub(crate) async fn append_removal(&self, stream: &StreamName, user: UserId) -> Seq {
        let event = &json!({ "type": "member_removed", "user": user });
        let append = |tx| async move { self.streams.append_removal(&tx, stream, event, user).await };
        self.db.write(append).await.unwrap()
    }

    pub(crate) async fn append_check(&self, stream: &StreamName) -> Seq {
        self.db.write(|tx| async move { self.streams.append_check(&tx, stream).await }).await.unwrap()
    }

    pub(crate) async fn append_check_of(&self, stream: &StreamName, user: UserId) -> Seq {
        self.db.write(|tx| async move { self.streams.append_check_of(&tx, stream, user).await }).await.unwrap()
    }

    /// Starts a server, and the background work of the streams.
    pub(crate) async fn serve(&self) -> SocketAddr {
        let streams = self.streams.clone();
        tokio::spawn(async move { streams.run().await });
        serve(&self.streams).await
    }
}

/// Starts a server for the sockets of streams.
pub(crate) async fn serve(streams: &Streams) -> SocketAddr {
    let state = RealtimeState::new(streams.clone());
    let by_room = async |axum::extract::Path(id): axum::extract::Path<i64>,
                         axum::extract::State(state): axum::extract::State<RealtimeState>,
                         handshake: Handshake| {
        let hello = json!({ "room_id": id }).as_object().cloned().unwrap_or_default();
        handshake.follow(state, room(id), hello)
    };
    let rooms = Router::new().route("/rooms/{id}/", any(by_room)).with_state(state.clone());
    let with_address = async |request: Request, next: Next| {
        let origin = Origin { ip: Some(Ipv4Addr::LOCALHOST.into()), ..Origin::default() };
        origin.scope(next.run(request)).await
    };
    let app = Router::from(router(state)).merge(rooms).layer(from_fn(with_address));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A client that is not ours.
pub(crate) struct Client(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

impl Client {
    pub(crate) async fn connect(address: SocketAddr, path: &str) -> Self {
        Self(connect_async(format!("ws://{address}{path}")).await.unwrap().0)
    }

    /// Connects; the status if the server does not accept the connection.
    pub(crate) async fn try_connect(address: SocketAddr, path: &str) -> std::result::Result<Self, u16> {
        match connect_async(format!("ws://{address}{path}")).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn connect_with(address: SocketAddr, path: &str, name: &'static str, value: &str) -> Self {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
        Self(connect_async(request).await.unwrap().0)
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_raw(Message::Text(frame.to_string().into())).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        // The server may have closed the connection already.
        let _ = self.0.send(message).await;
    }

    async fn message(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(Duration::from_secs(10), self.0.next()).await.unwrap();
        next.and_then(std::result::Result::ok)
    }

    /// The next frame of text.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match self.message().await {
                Some(Message::Text(text)) => return serde_json::from_str(&text).unwrap(),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("expected a frame, got {other:?}"),
            }
        }
    }

    /// The next frame of a type; others are skipped.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The code with which the server closes; frames before it are skipped, but for the reason in `bye`.
    pub(crate) async fn close(&mut self) -> (u16, String) {
        let mut reason = String::new();
        loop {
            match self.message().await {
                Some(Message::Text(text)) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    if frame["type"] == "bye" {
                        frame["reason"].as_str().unwrap().clone_into(&mut reason);
                    }
                }
                Some(Message::Close(Some(frame))) => return (frame.code.into(), reason),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("expected the connection to be closed, got {other:?}"),
            }
        }
    }
}
