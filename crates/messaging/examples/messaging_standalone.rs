//! Messages and sockets beside a user table of the service, `people`. The id of a person serves as the token.

use std::{error::Error, sync::Arc};

use guildhall_files::{self as files, Files, FolderStore, UploadLimits};
use guildhall_kernel::{self as kernel, Auth, Caller, Clock, Credentials, Db, HostTables, Kind, Person, Roles, UserId};
use guildhall_messaging::{self as messaging, Host, MessagingState, MessagingStreams, Settings, SqlMessaging};
use guildhall_realtime::{self as realtime, OwnStream, RealtimeState, SingleProcess, Streams};
use sea_orm::ConnectionTrait;

/// The people with the ids 1 and 2.
struct People;

#[async_trait::async_trait]
impl kernel::Authenticate for People {
    async fn authenticate(&self, credentials: Credentials) -> kernel::Result<Caller> {
        let invalid = |_| kernel::Error::new(Kind::Unauthenticated, "invalid", "Invalid token.");
        Ok(Caller::new(UserId(credentials.secret().parse().map_err(invalid)?), Roles::default()))
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
impl messaging::PeopleSearch for People {
    async fn active(&self, users: &[UserId]) -> kernel::Result<Vec<UserId>> {
        Ok(kernel::Directory::people(self, users).await?.iter().map(|person| person.id).collect())
    }

    async fn search(&self, prefix: &str, after: Option<&str>, _: u64) -> kernel::Result<Vec<Person>> {
        let people = kernel::Directory::people(self, &[UserId(1), UserId(2)]).await?.into_iter();
        Ok(people.filter(|one| one.username.starts_with(prefix) && after < Some(one.username.as_str())).collect())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("messaging-{}", std::process::id()));
    let db = Db::connect(&format!("sqlite://{}.db?mode=rwc", folder.display()), 4).await?;
    let people = "CREATE TABLE people (id integer PRIMARY KEY); INSERT INTO people VALUES (1), (2);";
    db.write(|tx| async move { tx.execute_unprepared(people).await }).await?;
    db.migrate(|| {
        let host = HostTables { users: "people" };
        let own = [realtime::migrations(&host), messaging::migrations(&host)];
        [kernel::migrations(&host), files::migrations()].into_iter().chain(own).flatten().collect()
    })
    .await?;
    let (clock, auth, settings) = (Clock::system(), Auth::new(People), realtime::Settings::default());
    let own = vec![Arc::new(OwnStream) as _];
    let streams = Streams::new(db.clone(), clock.clone(), settings, auth.clone(), SingleProcess, own);
    let (store, limits) = (Arc::new(FolderStore::new(folder)), UploadLimits::up_to(10 << 20));
    let mount: kernel::PublicUrl = "http://127.0.0.1:8001/api".parse()?;
    let files = Files::open(db.clone(), store, clock.clone(), mount.clone(), limits).await?;
    let (directory, people, keys) = (Arc::new(People), Arc::new(People), kernel::cipher::KeyRing::default());
    let host = Host { clock, directory, people, streams: streams.clone(), files, page_fetcher: None, mount, keys };
    let messaging = SqlMessaging::new(db, Settings::default(), host);
    streams.register(Arc::new(MessagingStreams::new(&messaging)));
    let api = messaging::router(MessagingState::new(&messaging, auth, "http://127.0.0.1:8001".parse()?)).into();
    let app = axum::Router::new().nest("/api", api).merge(realtime::router(RealtimeState::new(streams.clone())));
    tokio::spawn(async move { streams.run().await });
    Ok(axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8001").await?, app).await?)
}
