//! Notifications in a service with its own user table, `people`. The id of a person serves as the token.
//!
//! Try it: `curl -X POST -H 'Authorization: Token 1' http://127.0.0.1:8001/wave/2/`, and then
//! `curl -H 'Authorization: Token 2' http://127.0.0.1:8001/api/notifications/`

use std::{collections::HashSet, error::Error, sync::Arc};

use async_trait::async_trait;
use axum::extract::{FromRef, State};
use guildhall_kernel::{
    self as kernel, Auth, Authenticate, Caller, Clock, Credentials, Db, Directory, HostTables, Kind, Outbox, Path,
    Person, PublicUrl, Roles, UserId,
    db::Tx,
    event::{Dispatcher, Emitted, Event},
    mail::EmailBranding,
};
use guildhall_notifications::{
    Host, NewNotification, NotificationKind, NotificationsState, Source, SqlNotifications, Target, Unsubscribing,
    migrations, router,
};
use guildhall_realtime::{OwnStream, RealtimeState, SingleProcess, Streams};
use sea_orm::ConnectionTrait;

guildhall_kernel::define_events! {
    /// Somebody waved at somebody.
    Waved("people.waved", |event| format!("people/{}", event.at)) {
        /// Who waved.
        user: UserId,
        /// At whom.
        at: UserId,
    }
}

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

#[async_trait]
impl Source for People {
    fn events(&self) -> Vec<&'static str> {
        vec![Waved::NAME]
    }

    fn targets(&self) -> Vec<&'static str> {
        vec!["person"]
    }

    async fn notifications(&self, _: &Tx, event: &Emitted) -> kernel::Result<Vec<NewNotification>> {
        let waved = event.read::<Waved>()?.map(|Waved { user, at }| NewNotification {
            recipient: at,
            kind: NotificationKind::Mention,
            actor: Some(user),
            target: Some(Target { kind: "person".to_owned(), id: user.0, url: format!("/people/{user}/") }),
            group_key: "waves".to_owned(),
            subject: "a wave".to_owned(),
        });
        Ok(waved.into_iter().collect())
    }

    async fn may_see(&self, _: UserId, _: &str, ids: &[i64]) -> kernel::Result<HashSet<i64>> {
        Ok(ids.iter().copied().collect())
    }
}

#[derive(Clone, FromRef)]
struct AppState {
    db: Db,
    auth: Auth,
    unsubscribing: Arc<dyn Unsubscribing>,
}

async fn wave(State(db): State<Db>, caller: Caller, Path(at): Path<UserId>) -> kernel::Result<()> {
    let waved = &Waved { user: caller.user, at };
    Ok(db.write(|tx| async move { tx.emit(waved).await }).await?)
}

/// What mail servers send to the link in an email (RFC 8058). A service for people also shows a page there.
async fn unsubscribe(
    State(unsubscribing): State<Arc<dyn Unsubscribing>>,
    Path(token): Path<String>,
) -> kernel::Result<()> {
    Ok(unsubscribing.unsubscribe(&token).await?)
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
        [kernel::migrations(&host), guildhall_realtime::migrations(&host), migrations(&host)]
            .into_iter()
            .flatten()
            .collect()
    })
    .await?;

    let (url, clock): (PublicUrl, Clock) = ("http://127.0.0.1:8001".parse()?, Clock::system());
    let auth = Auth::new(People);
    let handlers: Vec<Arc<dyn guildhall_realtime::StreamHandler>> = vec![Arc::new(OwnStream)];
    let settings = guildhall_realtime::Settings::default();
    let streams = Streams::new(db.clone(), clock.clone(), settings, auth.clone(), SingleProcess, handlers);
    let host = Host {
        clock: clock.clone(),
        tables: HostTables { users: "people" },
        directory: Arc::new(People),
        outbox: Outbox::new(db.clone(), clock.clone()),
        streams: streams.clone(),
        sources: Arc::from([Arc::new(People) as Arc<dyn Source>]),
        push_sender: None,
        branding: EmailBranding { service: "Readers' club".to_owned(), home: url.clone() },
        url: url.clone(),
    };
    let notifications = SqlNotifications::open(db.clone(), host).await.map_err(kernel::Error::from)?;
    let notifier = notifications.notifier();
    let events = Dispatcher::new(db.clone(), clock, vec![Arc::new(notifier.clone())]);
    tokio::spawn(async move { events.dispatch_forever().await });
    tokio::spawn(async move { notifier.deliver_forever().await });
    tokio::spawn({
        let streams = streams.clone();
        async move { streams.run().await }
    });

    let state = NotificationsState::new(&notifications, auth.clone(), url);
    let sockets = guildhall_realtime::router(RealtimeState::new(streams));
    let app = axum::Router::new()
        .route("/wave/{id}/", axum::routing::post(wave))
        .route("/unsubscribe/{token}/", axum::routing::post(unsubscribe))
        .with_state(AppState { db, auth, unsubscribing: Arc::new(notifications) })
        .nest("/api", router(state).into())
        .nest("/ws", sockets.into());
    Ok(axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8001").await?, app).await?)
}
