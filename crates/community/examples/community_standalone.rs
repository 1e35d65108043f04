//! Groups and posts in a service with its own user table, `people`. The id of a person serves as the token.
//!
//! Try it: `curl -H 'Authorization: Token 1' -H 'Content-Type: application/json' \
//!     -d '{"name": "Readers"}' http://127.0.0.1:8001/community/groups/`

use std::{error::Error, sync::Arc};

use async_trait::async_trait;
use guildhall_community::{CommunityState, Host, Settings, SqlCommunity, UserTable, migrations, router};
use guildhall_files as file;
use guildhall_files::{Files, FolderStore, UploadLimits};
use guildhall_kernel::{
    self as kernel, Auth, Authenticate, Caller, Clock, Credentials, Db, Directory, HostTables, Kind, Outbox, Person,
    PublicUrl, Roles, UserId,
};
use sea_orm::ConnectionTrait;

struct People;

#[async_trait]
impl Authenticate for People {
    async fn authenticate(&self, credentials: Credentials) -> kernel::Result<Caller> {
        let invalid = |_| kernel::Error::new(Kind::Unauthenticated, "invalid", "Invalid token.");
        Ok(Caller::new(UserId(credentials.secret().parse().map_err(invalid)?), Roles::default()))
    }
}

#[async_trait]
impl Directory for People {
    async fn people(&self, ids: &[UserId]) -> kernel::Result<Vec<Person>> {
        let name = |id: &UserId| format!("Person {id}");
        let person = |id: &UserId| Person { id: *id, username: name(id), display_name: name(id), avatar_url: None };
        Ok(ids.iter().map(person).collect())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("standalone-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let db = Db::connect(&format!("sqlite://{}?mode=rwc", folder.join("host.db").display()), 4).await?;
    db.write(|tx| async move {
        let people = "CREATE TABLE people (id integer PRIMARY KEY, name text); \
                      INSERT INTO people VALUES (1, 'anna'), (2, 'ben');";
        tx.execute_unprepared(people).await
    })
    .await?;
    db.migrate(|| {
        let host = HostTables { users: "people" };
        [kernel::migrations(&host), guildhall_files::migrations(), migrations(&host)].into_iter().flatten().collect()
    })
    .await?;

    let (url, clock): (PublicUrl, Clock) = ("http://127.0.0.1:8001".parse()?, Clock::system());
    let store = Arc::new(FolderStore::new(folder.join("files")));
    let files = Files::open(db.clone(), store, clock.clone(), url.clone(), UploadLimits::up_to(10 << 20)).await?;
    let host = Host {
        clock: clock.clone(),
        directory: Arc::new(People),
        users: UserTable { name: "people", search_key: "name" },
        outbox: Outbox::new(db.clone(), clock),
        files: files.clone(),
        page_fetcher: None,
        name: "Readers' club".to_owned(),
        mount: url.join("/community").parse()?,
        home: url.clone(),
    };
    let community = SqlCommunity::new(db, Settings::default(), host);
    let state = CommunityState::new(&community, Auth::new(People), url);
    let app = axum::Router::new().nest("/community", router(state).into()).merge(file::router(files));
    Ok(axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8001").await?, app).await?)
}
