//! Composes the services, adapters and routers.

pub(crate) mod bus;
mod in_use;
mod live;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use anyhow::Context;
use axum::Router;
use guildhall_accounts::{AccountsState, Host, SqlAccounts, USERNAME_KEY, USERS};
use guildhall_chat::{ChatState, SqlChat};
use guildhall_community::{CommunityState, SqlCommunity, UserTable};
use guildhall_deals::{DealsState, SqlDeals};
use guildhall_files::{Files, FolderStore, Reserve, Store, UploadLimits};
use guildhall_kernel::{
    Auth, Clock, Db, Outbox, PublicUrl, Quota, UserRemoval,
    cipher::{KeyRing, KeyUse},
    db::{self, sqlite_file},
    event::{Dispatcher, Subscriber},
    http::{PageFetcher, WebhookSender},
    mail::{EmailBranding, Mailer},
};
use guildhall_messaging::{MessagingState, SqlMessaging};
use guildhall_notifications::{NotificationsState, SqlNotifications};
use guildhall_platform::{InvalidMailServer, PublicHttp, S3Store, SmtpMailer};
use guildhall_realtime::{RealtimeState, Streams};
use guildhall_web::{SetupLink, Web};

pub(crate) use self::in_use::{InUse, lock_file};
use self::live::Domains;
use crate::{
    admin, board_streams::BoardStreams, ended_sessions::EndedSessions, group_streams::GroupStreams, health,
    later::LaterRemoval, layers, mounts, reference, settings::Settings,
};

/// The services that the command line and the server share.
#[derive(Clone)]
pub struct Services {
    /// The database.
    pub db: Db,
    /// Dispatches events to their subscribers.
    pub events: Dispatcher,
    /// The outbox of emails and webhook messages.
    pub outbox: Outbox,
    /// Delivers emails, if a mail server is configured.
    pub mailer: Option<Arc<dyn Mailer>>,
    /// Uploaded files.
    pub files: Files,
    /// Accounts and tokens.
    pub accounts: SqlAccounts,
    /// Groups and their members.
    pub community: SqlCommunity,
    /// Organizations with their clients and deals.
    pub deals: SqlDeals,
    /// Streams and sockets.
    pub streams: Streams,
    /// Direct messages.
    pub messaging: SqlMessaging,
    /// Chat rooms.
    pub chat: SqlChat,
    /// Notifications.
    pub notifications: SqlNotifications,
    /// The keys that messages and events are encrypted with.
    pub keys: KeyRing,
    /// The clock of all services.
    pub(crate) clock: Clock,
    /// The link to the page of the first start, if there was no superuser when the server started.
    pub setup: Option<SetupLink>,
    /// The removal of users from messaging and chat, to which accounts refer weakly.
    _removals: [Arc<dyn UserRemoval>; 3],
    /// Holds the lock of the embedded database.
    _in_use: InUse,
}

/// How services are opened.
struct Opening {
    /// Whether migrations are applied.
    migrate: bool,
    statement_limit: Option<Duration>,
    clock: Clock,
    /// Whether no other process may use an embedded database, and nothing is sent to other servers.
    is_alone: bool,
}

impl Services {
    /// Opens the database, applies migrations if `migrate` is set, and opens the services on it.
    pub async fn open(settings: &Settings, migrate: bool) -> anyhow::Result<Self> {
        let opening = Opening { migrate, statement_limit: None, clock: Clock::system(), is_alone: false };
        Box::pin(Self::open_with(settings, opening)).await
    }

    /// Like [`Self::open`], with migrations and another clock, without other processes on an embedded database and
    /// without connections to other servers.
    pub(crate) async fn open_alone(settings: &Settings, clock: Clock) -> anyhow::Result<Self> {
        let opening = Opening { migrate: true, statement_limit: None, clock, is_alone: true };
        Box::pin(Self::open_with(settings, opening)).await
    }

    /// Like [`Self::open`], with the statement timeout of the settings and a link for the first superuser.
    pub async fn open_to_serve(settings: &Settings, migrate: bool) -> anyhow::Result<Self> {
        let limit = Duration::from_secs(settings.database.statement_seconds.into());
        let opening = Opening { migrate, statement_limit: Some(limit), clock: Clock::system(), is_alone: false };
        let mut services = Box::pin(Self::open_with(settings, opening)).await?;
        if !services.accounts.has_superuser().await? {
            services.setup = Some(SetupLink::new(services.clock.now())?);
        }
        Ok(services)
    }

    async fn open_with(settings: &Settings, opening: Opening) -> anyhow::Result<Self> {
        let Opening { migrate, statement_limit, clock, is_alone } = opening;
        let in_use = if is_alone { InUse::alone(settings)? } else { InUse::new(settings)? };
        let db = Self::connect(settings, statement_limit).await?;
        prepare(&db, migrate).await?;
        let url = settings.expected_url()?;
        let outbox = Outbox::new(db.clone(), clock.clone()).with_limits(settings.mail.limits);
        let mount = url.join(mounts::FILES).parse()?;
        let files = Files::open(db.clone(), store(settings)?, clock.clone(), mount, upload_limits(settings)).await?;
        let later_removals = [LaterRemoval::default(), LaterRemoval::default(), LaterRemoval::default()];
        let host = Host {
            clock: clock.clone(),
            outbox: outbox.clone(),
            files: files.clone(),
            name: settings.server.name.clone(),
            url: url.clone(),
            throttled: settings.limits.enabled,
            removals: vec![
                Arc::new(guildhall_community::Removal::new(clock.clone())),
                Arc::new(guildhall_deals::Removal::new(clock.clone())),
                Arc::new(later_removals[0].clone()),
                Arc::new(later_removals[1].clone()),
                Arc::new(guildhall_notifications::Removal),
                Arc::new(later_removals[2].clone()),
            ],
        };
        let accounts = SqlAccounts::open(db.clone(), settings.accounts.clone(), host).await?;
        let mailer = mailer(settings)?;
        let http = if is_alone { None } else { public_http() };
        let host = deals_host(settings, &clock, &accounts, &files, &outbox, http.clone(), &url)?;
        let deals = SqlDeals::new(db.clone(), host);
        let host = guildhall_community::Host {
            clock: clock.clone(),
            directory: Arc::new(accounts.clone()),
            users: UserTable { name: USERS, search_key: USERNAME_KEY },
            outbox: outbox.clone(),
            files: files.clone(),
            page_fetcher: http
                .clone()
                .filter(|_| settings.community.link_previews)
                .map(|http| http as Arc<dyn PageFetcher>),
            name: settings.server.name.clone(),
            mount: url.join(mounts::COMMUNITY).parse()?,
            home: settings.accounts.home(&url)?,
        };
        let community = settings.community.clone();
        let community = if settings.limits.enabled { community } else { community.without_limits() };
        let community = SqlCommunity::new(db.clone(), community, host);
        let keys = settings.encryption.key_ring().map_err(anyhow::Error::msg)?;
        let domains = Domains {
            settings,
            clock: &clock,
            db: &db,
            accounts: &accounts,
            community: &community,
            deals: &deals,
            keys: &keys,
        };
        let streams = domains.streams(bus::open(settings, &db).await?);
        let messaging = domains.messaging(&streams, files.clone(), http.clone(), &url)?;
        let chat = domains.chat(&streams, files.clone(), &url)?;
        let removals: [Arc<dyn UserRemoval>; 3] = [
            Arc::new(guildhall_messaging::Removal::new(&messaging)),
            Arc::new(guildhall_chat::Removal::new(&chat)),
            Arc::new(guildhall_realtime::Removal::new(streams.clone())),
        ];
        for (later, removal) in later_removals.iter().zip(&removals) {
            later.set(removal);
        }
        let notifications = domains.notifications(&streams, (&messaging, &chat), &outbox, http, url).await?;
        let events = Dispatcher::new(db.clone(), clock.clone(), subscribers(&notifications, &deals, &streams));
        Ok(Self {
            db,
            events,
            outbox,
            mailer,
            files,
            accounts,
            community,
            deals,
            streams,
            messaging,
            chat,
            notifications,
            keys,
            clock,
            setup: None,
            _removals: removals,
            _in_use: in_use,
        })
    }

    /// The keys that messages and events need and the settings do not have: they cannot be read.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn missing_keys(&self) -> anyhow::Result<Vec<KeyUse>> {
        let mut missing = self.messaging.missing_keys().await.map_err(guildhall_kernel::Error::from)?;
        missing.extend(self.streams.missing_keys().await?);
        Ok(missing)
    }

    /// Opens only the database, which is marked as in use until the returned `InUse` is dropped. Creates the folder of
    /// an embedded database.
    pub async fn database(settings: &Settings) -> anyhow::Result<(Db, InUse)> {
        let in_use = InUse::new(settings)?;
        Ok((Self::connect(settings, None).await?, in_use))
    }

    async fn connect(settings: &Settings, statement_limit: Option<Duration>) -> anyhow::Result<Db> {
        let options = db::Options { connections: settings.connections(), statement_limit };
        Ok(Db::connect_with(&settings.database_url(), &options).await?)
    }

    /// The router of the whole server.
    pub(crate) fn router(&self, settings: &Settings, url: &PublicUrl) -> anyhow::Result<Router> {
        let mut auth = Auth::new(self.accounts.clone());
        if let Some(per_minute) = NonZeroU32::new(settings.limits.writes_per_minute).filter(|_| settings.limits.enabled)
        {
            auth = auth.with_write_limit(per_minute);
        }
        self.router_with_auth(settings, url, auth)
    }

    /// Like [`Self::router`], for callers that something else authenticates.
    pub(crate) fn router_with_auth(&self, settings: &Settings, url: &PublicUrl, auth: Auth) -> anyhow::Result<Router> {
        let accounts = AccountsState { auth: auth.clone(), ..AccountsState::new(&self.accounts, url.clone()) };
        let files = self.files.mounted_at(url.join(mounts::FILES).parse()?);
        let community = self.community.mounted_at(
            url.join(mounts::COMMUNITY).parse()?,
            settings.accounts.home(url)?,
            files.clone(),
        );
        let messaging = self.messaging.mounted_at(url.join(mounts::MESSAGING).parse()?, files.clone());
        let community = CommunityState::new(&community, auth.clone(), url.clone());
        let deals = DealsState::new(&self.deals, auth.clone(), url.clone());
        let messaging = MessagingState::new(&messaging, auth.clone(), url.clone());
        let chat = self.chat.mounted_at(url.join(mounts::CHAT).parse()?, files.clone());
        let chat = ChatState::new(&chat, auth.clone(), url.clone());
        let notifications = NotificationsState::new(&self.notifications, auth.clone(), url.clone());
        let sockets = RealtimeState::new(self.streams.clone());
        let checks = health::Checks::default();
        let writes = guildhall_web::table_writes(&accounts, &community, &deals, &messaging, &chat);
        let server_health = admin::ServerHealth {
            checks: checks.clone(),
            db: self.db.clone(),
            streams: self.streams.clone(),
            has_mailer: self.mailer.is_some(),
        };

        let pages = Web {
            directory: Arc::new(self.accounts.clone()),
            accounts: accounts.clone(),
            community: community.clone(),
            deals: deals.clone(),
            messaging: messaging.clone(),
            chat: chat.clone(),
            notifications: notifications.clone(),
            admin: admin::state(&self.db, writes, server_health),
            unsubscribing: Arc::new(self.notifications.clone()),
            setup: self.setup.clone(),
            name: settings.server.name.as_str().into(),
            url: url.clone(),
            clock: self.clock.clone(),
            session_seconds: settings.accounts.refresh_token_seconds.into(),
        };
        let routes = Router::new()
            .nest(mounts::WELL_KNOWN, guildhall_accounts::well_known(accounts.clone()).into())
            .nest(mounts::ACCOUNTS, guildhall_accounts::router(accounts).into())
            .nest(mounts::FILES, guildhall_files::router(files).into())
            .nest(mounts::COMMUNITY, guildhall_community::router(community).into())
            .nest(mounts::DEALS, guildhall_deals::router(deals).into())
            .nest(mounts::MESSAGING, guildhall_messaging::router(messaging).into())
            .nest(mounts::CHAT, guildhall_chat::router(chat).into())
            .nest(mounts::NOTIFICATIONS, guildhall_notifications::router(notifications).into())
            .merge(guildhall_realtime::router(sockets.clone()))
            .merge(guildhall_chat::sockets(sockets))
            .merge(health::router(
                self.db.clone(),
                auth,
                self.streams.clone(),
                checks,
                settings.metrics.bind.is_empty(),
            ))
            .merge(reference::router());
        Ok(layers::wrap(guildhall_web::router(pages, routes), settings, url))
    }
}

/// The subscribers to events.
fn subscribers(notifications: &SqlNotifications, deals: &SqlDeals, streams: &Streams) -> Vec<Arc<dyn Subscriber>> {
    vec![
        Arc::new(notifications.notifier()),
        Arc::new(deals.webhooks.clone()),
        Arc::new(EndedSessions(streams.clone())),
        Arc::new(GroupStreams(streams.clone())),
        Arc::new(BoardStreams(streams.clone())),
    ]
}

/// Applies migrations if `migrate` is set; otherwise there have to be tables.
async fn prepare(db: &Db, migrate: bool) -> anyhow::Result<()> {
    db.check_version(guildhall_migration::all).await.context("the database cannot be used")?;
    if migrate {
        db.migrate(guildhall_migration::all).await?;
    } else if db.migration_status(guildhall_migration::all).await?.iter().all(|(_, applied)| !applied) {
        anyhow::bail!("the database has no tables yet; run `guildhall migrate`");
    }
    Ok(())
}

/// The upload limits of the settings. The reserve also protects an embedded database in the data folder.
fn upload_limits(settings: &Settings) -> UploadLimits {
    let limits = &settings.limits;
    let is_local = settings.files_folder().is_some() || sqlite_file(&settings.database_url()).is_some();
    let reserve = Reserve { folder: settings.data_dir.clone(), percent: limits.free_disk_percent };
    UploadLimits {
        bytes: limits.upload_bytes,
        quota: if limits.enabled {
            Quota::per_day("upload_bytes", limits.upload_bytes_per_day)
        } else {
            Quota::unlimited()
        },
        reserve: (is_local && limits.enabled).then_some(reserve),
    }
}

/// The file store of the settings.
fn store(settings: &Settings) -> anyhow::Result<Arc<dyn Store>> {
    if let Some(folder) = settings.files_folder() {
        return Ok(Arc::new(FolderStore::new(folder)));
    }
    match S3Store::new(&settings.files.url) {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => anyhow::bail!("files.url {error}"),
    }
}

/// The HTTP client for link previews and webhooks, if it can be created.
fn public_http() -> Option<Arc<PublicHttp>> {
    match PublicHttp::new() {
        Ok(http) => Some(Arc::new(http)),
        Err(error) => {
            tracing::warn!(%error, "link previews and webhooks are disabled because TLS is not available");
            None
        }
    }
}

/// The mailer for the mail server of the settings.
fn mailer(settings: &Settings) -> anyhow::Result<Option<Arc<dyn Mailer>>> {
    if settings.mail.smtp_url.is_empty() {
        return Ok(None);
    }
    match SmtpMailer::new(&settings.mail.smtp_url, &settings.mail.from) {
        Ok(mailer) => Ok(Some(Arc::new(mailer))),
        Err(error @ InvalidMailServer::Server) => anyhow::bail!("mail.smtp_url {error}"),
        Err(error @ InvalidMailServer::Sender) => anyhow::bail!("mail.from {error}"),
    }
}

fn deals_host(
    settings: &Settings,
    clock: &Clock,
    accounts: &SqlAccounts,
    files: &Files,
    outbox: &Outbox,
    http: Option<Arc<PublicHttp>>,
    url: &PublicUrl,
) -> anyhow::Result<guildhall_deals::Host> {
    Ok(guildhall_deals::Host {
        clock: clock.clone(),
        directory: Arc::new(accounts.clone()),
        files: files.clone(),
        outbox: outbox.clone(),
        webhook_sender: http.map(|http| http as Arc<dyn WebhookSender>),
        branding: EmailBranding { service: settings.server.name.clone(), home: settings.accounts.home(url)? },
        settings: if settings.limits.enabled {
            settings.deals.clone()
        } else {
            settings.deals.clone().without_limits()
        },
    })
}
