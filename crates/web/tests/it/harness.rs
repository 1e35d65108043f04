//! All services that the pages use, on a database of their own.

use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use axum::Router;
use guildhall_accounts::{
    AccountsState, HashCost, NewUser, SqlAccounts, USERNAME_KEY, USERS, WeakPassword, event::UserRegistered,
};
use guildhall_admin::{AdminState, Health, HealthPart, Registry, SqlPanel};
use guildhall_chat::{ActiveUsers, ChatState, ChatStreams, SqlChat};
use guildhall_community::{CommunityState, SqlCommunity, UserTable};
use guildhall_deals::{DealsState, SqlDeals};
use guildhall_files::{Files, FolderStore, UploadLimits};
use guildhall_kernel::{
    self as kernel, Auth, Blocker, Caller, HostTables, Outbox, Person, PublicUrl, Roles, UserId, UserRemoval,
    cipher::KeyRing,
    db::{Snapshot, Tx},
    event::{Dispatcher, Emitted, Event},
    mail::{DeliveryError, EmailBranding, Mail, Mailer},
    testing::{TestClock, TestDb},
};
use guildhall_messaging::{MessagingState, MessagingStreams, PeopleSearch, SqlMessaging};
use guildhall_notifications::{
    NewNotification, NotificationKind, NotificationsState, Notifier, Source, SqlNotifications,
};
use guildhall_realtime::{OwnStream, RealtimeState, SingleProcess, StreamHandler, Streams};
use guildhall_web::{SetupLink, Web, router, table_writes};
use sea_orm_migration::MigrationTrait;
use tokio::sync::Mutex;

use crate::browser::Browser;

pub(crate) const PASSWORD: &str = "correct horse é";
/// The URL of the service.
pub(crate) const URL: &str = "https://guild.example.org";

fn all_migrations() -> Vec<Box<dyn MigrationTrait>> {
    let tables = HostTables { users: USERS };
    let mut all = guildhall_accounts::migrations();
    all.extend(kernel::migrations(&tables));
    all.extend(guildhall_files::migrations());
    all.extend(guildhall_community::migrations(&tables));
    all.extend(guildhall_deals::migrations(&tables));
    all.extend(guildhall_realtime::migrations(&tables));
    all.extend(guildhall_messaging::migrations(&tables));
    all.extend(guildhall_chat::migrations(&tables));
    all.extend(guildhall_notifications::migrations(&tables));
    all.sort_by(|one, other| one.name().cmp(other.name()));
    all
}

/// Searches users for messaging.
struct AccountSearch(SqlAccounts);

#[async_trait]
impl PeopleSearch for AccountSearch {
    async fn active(&self, users: &[UserId]) -> kernel::Result<Vec<UserId>> {
        Ok(self.0.active_users(users).await?)
    }

    async fn search(&self, prefix: &str, after: Option<&str>, limit: u64) -> kernel::Result<Vec<Person>> {
        Ok(self.0.search_people(prefix, after, limit).await?)
    }
}

#[async_trait]
impl ActiveUsers for AccountSearch {
    async fn active(&self, users: &[UserId]) -> kernel::Result<Vec<UserId>> {
        Ok(self.0.active_users(users).await?)
    }
}

/// Welcomes everybody who registers.
struct Welcome;

#[async_trait]
impl Source for Welcome {
    fn events(&self) -> Vec<&'static str> {
        vec![UserRegistered::NAME]
    }

    fn targets(&self) -> Vec<&'static str> {
        Vec::new()
    }

    async fn notifications(&self, _: &Tx, event: &Emitted) -> kernel::Result<Vec<NewNotification>> {
        let Some(registered) = event.read::<UserRegistered>()? else { return Ok(Vec::new()) };
        Ok(vec![NewNotification {
            recipient: registered.user,
            kind: NotificationKind::System,
            actor: None,
            target: None,
            group_key: "welcome".to_owned(),
            subject: "Welcome <b>here</b>".to_owned(),
        }])
    }

    async fn may_see(&self, _: UserId, _: &str, ids: &[i64]) -> kernel::Result<HashSet<i64>> {
        Ok(ids.iter().copied().collect())
    }
}

/// The part of messaging in the removal of users, which is built after the accounts.
#[derive(Clone, Default)]
struct LaterRemoval(Arc<OnceLock<guildhall_messaging::Removal>>);

#[async_trait]
impl UserRemoval for LaterRemoval {
    async fn blockers(&self, tx: &Tx, user: UserId, successor: Option<UserId>) -> kernel::Result<Vec<Blocker>> {
        self.0.get().unwrap().blockers(tx, user, successor).await
    }

    async fn is_used(&self, tx: &Tx, user: UserId) -> kernel::Result<bool> {
        self.0.get().unwrap().is_used(tx, user).await
    }

    async fn release(&self, tx: &Tx, user: UserId, successor: Option<UserId>) -> kernel::Result<()> {
        self.0.get().unwrap().release(tx, user, successor).await
    }

    async fn export(&self, conn: &Snapshot, user: UserId) -> kernel::Result<(&'static str, serde_json::Value)> {
        self.0.get().unwrap().export(conn, user).await
    }
}

/// Collects the emails that are sent.
#[derive(Default)]
struct Inbox(Mutex<Vec<Mail>>);

#[async_trait]
impl Mailer for Inbox {
    async fn send(&self, _: i64, mail: &Mail) -> Result<(), DeliveryError> {
        self.0.lock().await.push(mail.clone());
        Ok(())
    }

    async fn check(&self) -> Result<(), DeliveryError> {
        Ok(())
    }
}

/// The tables of the panel.
fn registry() -> Registry {
    Registry::default()
        .with("accounts", guildhall_accounts::admin())
        .with("community", guildhall_community::admin())
        .with("deals", guildhall_deals::admin())
        .with("messaging", guildhall_messaging::admin())
        .with("chat", guildhall_chat::admin())
        .with("notifications", guildhall_notifications::admin())
        .with("realtime", guildhall_realtime::admin())
        .with("files", guildhall_files::admin())
        .with("kernel", kernel::admin::admin())
}

/// A server without faults.
struct Healthy;

#[async_trait]
impl Health for Healthy {
    async fn health(&self) -> Vec<HealthPart> {
        vec![HealthPart { name: "database", state: "ok" }]
    }

    fn version(&self) -> &'static str {
        "1.2.3"
    }
}

/// The pages with their services.
pub(crate) struct Site {
    pub(crate) accounts: SqlAccounts,
    pub(crate) community: SqlCommunity,
    pub(crate) deals: SqlDeals,
    pub(crate) messaging: SqlMessaging,
    pub(crate) chat: SqlChat,
    pub(crate) setup: SetupLink,
    notifier: Notifier,
    events: Dispatcher,
    outbox: Outbox,
    clock: TestClock,
    router: Router,
    pub(crate) db: TestDb,
    pub(crate) panel: SqlPanel,
    _folder: tempfile::TempDir,
}

#[expect(clippy::too_many_lines, reason = "sets up one service after the other")]
pub(crate) async fn site() -> Site {
    let db = TestDb::with_connections(all_migrations, 4).await;
    let (clock, url): (_, PublicUrl) = (TestClock::default(), URL.parse().unwrap());
    let outbox = Outbox::new(db.handle(), clock.clock());
    let messaging_removal = LaterRemoval::default();
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(FolderStore::new(folder.path()));
    let (mount, limits) = (url.join("/api").parse().unwrap(), UploadLimits::up_to(1 << 20));
    let files = Files::open(db.handle(), store, clock.clock(), mount, limits).await.unwrap();
    let host = guildhall_accounts::Host {
        clock: clock.clock(),
        outbox: outbox.clone(),
        removals: vec![
            Arc::new(guildhall_community::Removal::new(clock.clock())),
            Arc::new(guildhall_deals::Removal::new(clock.clock())),
            Arc::new(messaging_removal.clone()),
        ],
        ..guildhall_accounts::Host::new(&db, files.clone(), url.clone())
    };
    let hash = HashCost { memory_kib: 64, passes: 1, lanes: 1 };
    let settings = guildhall_accounts::Settings { hash, ..guildhall_accounts::Settings::default() };
    let accounts = SqlAccounts::open(db.handle(), settings, host).await.unwrap();
    accounts.calibrate().await.unwrap();
    let host = guildhall_community::Host {
        clock: clock.clock(),
        directory: Arc::new(accounts.clone()),
        users: UserTable { name: USERS, search_key: USERNAME_KEY },
        outbox: outbox.clone(),
        files: files.clone(),
        page_fetcher: None,
        name: "Tom & Co".to_owned(),
        mount: url.join("/api/community").parse().unwrap(),
        home: url.clone(),
    };
    let community = SqlCommunity::new(db.handle(), guildhall_community::Settings::default(), host);
    let host = guildhall_deals::Host {
        clock: clock.clock(),
        directory: Arc::new(accounts.clone()),
        files: files.clone(),
        outbox: outbox.clone(),
        webhook_sender: None,
        branding: EmailBranding { service: "Tom & Co".to_owned(), home: url.clone() },
        settings: guildhall_deals::Settings::default().without_limits(),
    };
    let deals = SqlDeals::new(db.handle(), host);
    let handlers: Vec<Arc<dyn StreamHandler>> = vec![Arc::new(OwnStream)];
    let auth = Auth::new(accounts.clone());
    let settings = guildhall_realtime::Settings::default();
    let streams = Streams::new(db.handle(), clock.clock(), settings, auth.clone(), SingleProcess, handlers);
    let host = guildhall_messaging::Host {
        clock: clock.clock(),
        directory: Arc::new(accounts.clone()),
        people: Arc::new(AccountSearch(accounts.clone())),
        streams: streams.clone(),
        files: files.clone(),
        page_fetcher: None,
        mount: url.join("/messaging/api").parse().unwrap(),
        keys: KeyRing::default(),
    };
    let messaging = SqlMessaging::new(db.handle(), guildhall_messaging::Settings::default().without_limits(), host);
    assert!(messaging_removal.0.set(guildhall_messaging::Removal::new(&messaging)).is_ok());
    streams.register(Arc::new(MessagingStreams::new(&messaging)));
    let host = guildhall_chat::Host {
        clock: clock.clock(),
        directory: Arc::new(accounts.clone()),
        users: Arc::new(AccountSearch(accounts.clone())),
        streams: streams.clone(),
        files,
        mount: url.join("/api").parse().unwrap(),
    };
    let settings = guildhall_chat::Settings::default().without_limits();
    let settings = guildhall_chat::Settings { request_cooldown_seconds: 60, ..settings };
    let chat = SqlChat::new(db.handle(), settings, host);
    streams.register(Arc::new(ChatStreams::new(&chat)));
    let host = guildhall_notifications::Host {
        clock: clock.clock(),
        tables: HostTables { users: USERS },
        directory: Arc::new(accounts.clone()),
        outbox: outbox.clone(),
        streams: streams.clone(),
        sources: Arc::from([Arc::new(Welcome) as Arc<dyn Source>]),
        push_sender: None,
        branding: EmailBranding { service: "Tom & Co".to_owned(), home: url.clone() },
        url: url.clone(),
    };
    let notifications = SqlNotifications::open(db.handle(), host).await.unwrap();
    let setup = SetupLink::new(clock.clock().now()).unwrap();
    let states = (
        AccountsState::new(&accounts, url.clone()),
        CommunityState::new(&community, auth.clone(), url.clone()),
        MessagingState::new(&messaging, auth.clone(), url.clone()),
    );
    let api = Router::new()
        .nest("/api", guildhall_accounts::router(states.0.clone()).into())
        .nest("/messaging/api", guildhall_messaging::router(states.2.clone()).into())
        .merge(guildhall_realtime::router(RealtimeState::new(streams)));
    let states_of_writes =
        (DealsState::new(&deals, auth.clone(), url.clone()), ChatState::new(&chat, auth.clone(), url.clone()));
    let writes = table_writes(&states.0, &states.1, &states_of_writes.0, &states.2, &states_of_writes.1);
    let panel = SqlPanel::new(db.handle(), clock.clock(), registry(), writes);
    let web = Web {
        directory: Arc::new(accounts.clone()),
        admin: AdminState::new(&panel, Arc::new(Healthy)),
        accounts: states.0,
        community: states.1,
        deals: states_of_writes.0,
        messaging: states.2,
        chat: states_of_writes.1,
        notifications: NotificationsState::new(&notifications, auth, url.clone()),
        unsubscribing: Arc::new(notifications.clone()),
        setup: Some(setup.clone()),
        name: "Tom & Co".into(),
        url,
        clock: clock.clock(),
        session_seconds: 1000,
    };
    let notifier = notifications.notifier();
    let events = Dispatcher::new(db.handle(), clock.clock(), vec![Arc::new(notifier.clone())]);
    Site {
        accounts,
        community,
        deals,
        messaging,
        chat,
        setup,
        notifier,
        events,
        outbox,
        clock,
        router: router(web, api),
        db,
        panel,
        _folder: folder,
    }
}

impl Site {
    /// A browser that nobody is signed in with.
    pub(crate) fn visitor(&self) -> Browser {
        Browser::new(self.router.clone())
    }

    /// The id of a new user with this name.
    pub(crate) async fn user(&self, name: &str) -> Caller {
        self.user_with(name, Roles::default()).await
    }

    /// A new user with roles.
    pub(crate) async fn user_with(&self, name: &str, roles: Roles) -> Caller {
        let new = NewUser {
            username: name.to_owned(),
            email: format!("{name}@example.org"),
            password: PASSWORD.to_owned(),
            first_name: String::new(),
            last_name: String::new(),
        };
        let account = self.accounts.create_user(new, roles, WeakPassword::Reject).await.unwrap();
        Caller::new(account.user.id, roles)
    }

    /// A browser that a new user has signed in with.
    pub(crate) async fn signed_in(&self, name: &str) -> (Caller, Browser) {
        let caller = self.user(name).await;
        let browser = self.visitor();
        browser.sign_in(name).await;
        (caller, browser)
    }

    /// Advances the clock.
    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The texts of the emails since the last call.
    pub(crate) async fn emails(&self) -> Vec<String> {
        let inbox = Inbox::default();
        self.outbox.deliver_emails(&inbox).await.unwrap();
        inbox.0.into_inner().into_iter().map(|mail| mail.text).collect()
    }

    /// How many statements have run since the last call.
    pub(crate) fn statements(&self) -> usize {
        self.db.handle().record_statements().len()
    }

    /// Delivers the notifications of what has happened.
    pub(crate) async fn notify(&self) {
        self.events.dispatch().await.unwrap();
        self.notifier.deliver().await.unwrap();
    }
}
