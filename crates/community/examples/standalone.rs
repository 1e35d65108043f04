//! Groups in a service that has its own users: `people`, who show their number as a token.
//!
//! Try it: `curl -H 'Authorization: Token 1' -H 'Content-Type: application/json' \
//!     -d '{"name": "Readers"}' http://127.0.0.1:8001/community/groups/`

use std::{error::Error, sync::Arc};

use async_trait::async_trait;
use guildhall_community::{CommunityState, Settings, SqlCommunity, migrations, router};
use guildhall_kernel::{
    self as kernel, Auth, Authenticate, Caller, Clock, Credentials, Db, Directory, HostTables, Kind, Person, PublicUrl,
    Roles, UserId,
};
use sea_orm::ConnectionTrait;

struct People;

#[async_trait]
impl Authenticate for People {
    async fn authenticate(&self, credentials: Credentials) -> kernel::Result<Caller> {
        let unknown = |_| kernel::Error::new(Kind::Unauthenticated, "unknown", "Who are you?");
        Ok(Caller::new(UserId(credentials.secret().parse().map_err(unknown)?), Roles::default()))
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
    let file = std::env::temp_dir().join(format!("standalone-{}.db", std::process::id()));
    let db = Db::connect(&format!("sqlite://{}?mode=rwc", file.display()), 4).await?;
    db.write(|tx| async move {
        let people = "CREATE TABLE people (id integer PRIMARY KEY); INSERT INTO people VALUES (1), (2);";
        tx.conn().execute_unprepared(people).await
    })
    .await?;
    db.migrate(|| migrations(&HostTables { users: "people" })).await?;

    let url: PublicUrl = "http://127.0.0.1:8001".parse()?;
    let mount = url.join("/community").parse()?;
    let community = Arc::new(SqlCommunity::new(db, Arc::new(People), Clock::system(), mount, Settings::default()));
    let state = CommunityState { community, auth: Auth::new(People), url };
    let app = axum::Router::new().nest("/community", router(state).into());
    Ok(axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8001").await?, app).await?)
}
