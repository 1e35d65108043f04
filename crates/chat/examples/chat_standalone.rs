//! Rooms and sockets beside a user table of the service, `people`. The id of a person serves as the token.

use std::{error::Error, sync::Arc};

use guildhall_chat::{self as chat, ActiveUsers, ChatState, ChatStreams, Host, Settings, SqlChat};
use guildhall_files::{self as files, Files, FolderStore, UploadLimits};
use guildhall_kernel::{self as kernel, Auth, Caller, Clock, Credentials, Db, HostTables, Kind, Person, Roles, UserId};
use guildhall_realtime::{self as realtime, RealtimeState, SingleProcess, Streams};
use sea_orm::ConnectionTrait;

/// The people with the ids 1 and 2, who are teachers.
struct People;

#[async_trait::async_trait]
impl kernel::Authenticate for People {
    async fn authenticate(&self, credentials: Credentials) -> kernel::Result<Caller> {
        let invalid = |_| kernel::Error::new(Kind::Unauthenticated, "invalid", "Invalid token.");
        let roles = Roles { teacher: true, ..Roles::default() };
        Ok(Caller::new(UserId(credentials.secret().parse().map_err(invalid)?), roles))
    }
}

#[async_trait::async_trait]
impl kernel::Directory for People {
    async fn people(&self, ids: &[UserId]) -> kernel::Result<Vec<Person>> {
        let name = |id: &UserId| format!("person-{id}");
        let person = |id: &UserId| Person { id: *id, username: name(id), display_name: name(id), avatar_url: None };
        Ok(ids.iter().filter(|id| id.0 == 1 || id.0 == 2).map(person).collect())
    }
}

#[async_trait::async_trait]
impl ActiveUsers for People {
    async fn active(&self, users: &[UserId]) -> kernel::Result<Vec<UserId>> {
        Ok(kernel::Directory::people(self, users).await?.iter().map(|person| person.id).collect())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("chat-{}", std::process::id()));
    let db = Db::connect(&format!("sqlite://{}.db?mode=rwc", folder.display()), 4).await?;
    let people = "CREATE TABLE people (id integer PRIMARY KEY); INSERT INTO people VALUES (1), (2);";
    db.write(|tx| async move { tx.execute_unprepared(people).await }).await?;
    db.migrate(|| {
        let host = HostTables { users: "people" };
        let domains = [realtime::migrations(&host), chat::migrations(&host)];
        [kernel::migrations(&host), files::migrations()].into_iter().chain(domains).flatten().collect()
    })
    .await?;

    let (url, clock, auth, limits) = ("http://127.0.0.1:8002", Clock::system(), Auth::new(People), UploadLimits::up_to);
    let store = Arc::new(FolderStore::new(&folder));
    let files = Files::open(db.clone(), store, clock.clone(), format!("{url}/api").parse()?, limits(10 << 20)).await?;
    let settings = realtime::Settings::default();
    let streams = Streams::new(db.clone(), clock.clone(), settings, auth.clone(), SingleProcess, Vec::new());
    let (mount, users) = (format!("{url}/api").parse()?, Arc::new(People));
    let host = Host { clock, directory: users.clone(), users, streams: streams.clone(), files: files.clone(), mount };
    let chat = SqlChat::new(db, Settings::default(), host);
    streams.register(Arc::new(ChatStreams::new(&chat)));

    let api = chat::router(ChatState::new(&chat, auth, url.parse()?)).merge(files::router(files));
    let app = axum::Router::new().nest("/api", api.into());
    let app = app.merge(chat::sockets(RealtimeState::new(streams.clone())));
    tokio::spawn(async move { tokio::join!(streams.run(), chat.run()) });
    Ok(axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8002").await?, app).await?)
}
