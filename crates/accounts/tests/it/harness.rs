use std::{ops::Deref, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use guildhall_accounts::{
    Account, AccountLimits, Accounts, EmailAddresses, Error, HashCost, Host, NewUser, PasswordReset, Passwords,
    ResetRequest, Result, Settings, SignIn, SignedIn, SqlAccounts, Tokens, USERS, migrations,
};
use guildhall_files::{Files, FolderStore, UploadLimits};
use guildhall_kernel::{
    self as kernel, Authenticate, Caller, Credentials, HostTables, Origin, Outbox, PublicUrl, UserRemoval,
    mail::{DeliveryError, Mail, Mailer},
    testing::{TestClock, TestDb},
};
use sea_orm_migration::MigrationTrait;
use tempfile::TempDir;
use tokio::sync::Mutex;

pub(crate) const PASSWORD: &str = "correct horse é";
pub(crate) const NEW_PASSWORD: &str = "another horse é";

fn all_migrations() -> Vec<Box<dyn MigrationTrait>> {
    let mut all = migrations();
    all.extend(kernel::migrations(&HostTables { users: USERS }));
    all.extend(guildhall_files::migrations());
    all.sort_by(|a, b| a.name().cmp(b.name()));
    all
}

/// The services on their own database, with a clock that a test can advance.
pub(crate) struct Harness {
    pub db: TestDb,
    pub accounts: SqlAccounts,
    pub outbox: Outbox,
    pub files: Files,
    /// The folder of the file store.
    pub folder: TempDir,
    clock: TestClock,
}

impl Deref for Harness {
    type Target = SqlAccounts;

    fn deref(&self) -> &SqlAccounts {
        &self.accounts
    }
}

pub(crate) async fn accounts() -> Harness {
    with_connections(1).await
}

pub(crate) async fn with_connections(connections: u32) -> Harness {
    build(connections, Vec::new()).await
}

/// The services together with another domain.
pub(crate) async fn with_domain(domain: impl UserRemoval) -> Harness {
    build(1, vec![Arc::new(domain)]).await
}

/// The services with custom limits.
pub(crate) async fn with_limits(limits: AccountLimits) -> Harness {
    build_with(1, Vec::new(), limits).await
}

async fn build(connections: u32, removals: Vec<Arc<dyn UserRemoval>>) -> Harness {
    build_with(connections, removals, AccountLimits::default()).await
}

async fn build_with(connections: u32, removals: Vec<Arc<dyn UserRemoval>>, limits: AccountLimits) -> Harness {
    let db = TestDb::with_connections(all_migrations, connections).await;
    let clock = TestClock::default();
    let outbox = Outbox::new(db.handle(), clock.clock());
    let folder = tempfile::tempdir().unwrap();
    let files = open_files(&db, folder.path(), &clock).await;
    let host = Host { clock: clock.clock(), outbox: outbox.clone(), removals, ..Host::new(&db, files.clone(), url()) };
    let accounts = open(&db, host, limits).await;
    Harness { db, accounts, outbox, files, folder, clock }
}

fn url() -> PublicUrl {
    "https://guild.example.org".parse().unwrap()
}

async fn open_files(db: &TestDb, folder: &Path, clock: &TestClock) -> Files {
    let (store, mount) = (Arc::new(FolderStore::new(folder)), url().join("/api").parse().unwrap());
    Files::open(db.handle(), store, clock.clock(), mount, UploadLimits::up_to(100_000)).await.unwrap()
}

async fn open(db: &TestDb, host: Host, limits: AccountLimits) -> SqlAccounts {
    let hash = HashCost { memory_kib: 64, passes: 1, lanes: 1 };
    let settings = Settings { hash, limits, ..Settings::default() };
    let accounts = SqlAccounts::open(db.handle(), settings, host).await.unwrap();
    accounts.calibrate().await.unwrap();
    accounts
}

/// Collects the emails that are sent.
#[derive(Default)]
struct Inbox(Mutex<Vec<Mail>>);

#[async_trait]
impl Mailer for Inbox {
    async fn send(&self, _: i64, mail: &Mail) -> std::result::Result<(), DeliveryError> {
        self.0.lock().await.push(mail.clone());
        Ok(())
    }

    async fn check(&self) -> std::result::Result<(), DeliveryError> {
        Ok(())
    }
}

/// The origin of a request from this IP address.
pub(crate) fn origin(ip: &str) -> Origin {
    Origin { ip: Some(ip.parse().unwrap()), user_agent: Some("curl/8".into()), request_id: Some("r-1".into()) }
}

/// The token in the link of an email.
pub(crate) fn token_in(mail: &Mail) -> String {
    let rest = mail.text.split("?token=").nth(1).unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

pub(crate) fn new_user(name: &str) -> NewUser {
    NewUser {
        username: name.to_owned(),
        email: format!("{name}@example.org"),
        password: PASSWORD.to_owned(),
        first_name: String::new(),
        last_name: String::new(),
    }
}

pub(crate) fn credentials(name: &str, password: &str) -> SignIn {
    SignIn { username: name.to_owned(), password: password.to_owned() }
}

/// Requests a password reset for an email address.
pub(crate) async fn request_reset(harness: &Harness, email: &str) {
    harness.request_reset(ResetRequest { email: email.into() }).await.unwrap();
}

pub(crate) fn reset(token: &str, password: &str) -> PasswordReset {
    PasswordReset { token: token.into(), new_password: password.into() }
}

pub(crate) fn caller(account: &Account) -> Caller {
    Caller::new(account.user.id, account.user.roles)
}

impl Harness {
    /// Advances the clock.
    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) async fn register_user(&self, name: &str) -> Account {
        self.accounts.register(new_user(name)).await.unwrap()
    }

    pub(crate) async fn sign_in_as(&self, name: &str) -> SignedIn {
        self.try_sign_in(name, PASSWORD).await.unwrap()
    }

    pub(crate) async fn try_sign_in(&self, name: &str, password: &str) -> Result<SignedIn> {
        self.accounts.sign_in(credentials(name, password)).await
    }

    pub(crate) async fn authenticate_bearer(&self, access: &str) -> kernel::Result<Caller> {
        self.accounts.authenticate(Credentials::Bearer(access.to_owned())).await
    }

    pub(crate) async fn authenticate_token(&self, token: &str) -> kernel::Result<Caller> {
        self.accounts.authenticate(Credentials::Token(token.to_owned())).await
    }

    /// Signs a user in and returns the caller of the new session.
    pub(crate) async fn session_of(&self, name: &str) -> Caller {
        let signed_in = self.sign_in_as(name).await;
        self.authenticate_bearer(&signed_in.tokens.access).await.unwrap()
    }

    /// The emails enqueued since the last call, in order.
    pub(crate) async fn emails(&self) -> Vec<Mail> {
        let inbox = Inbox::default();
        self.outbox.deliver_emails(&inbox).await.unwrap();
        inbox.0.into_inner()
    }

    /// Registers a user and verifies their email address.
    pub(crate) async fn register_verified(&self, name: &str) -> Account {
        let account = self.register_user(name).await;
        let emails = self.emails().await;
        self.confirm_email(&token_in(emails.last().unwrap())).await.unwrap();
        account
    }

    /// The service in another process on the same database.
    pub(crate) async fn second_node(&self) -> SqlAccounts {
        self.second_node_with(&self.clock).await
    }

    /// The service in another process, with a clock of its own.
    pub(crate) async fn second_node_with(&self, clock: &TestClock) -> SqlAccounts {
        let files = open_files(&self.db, self.folder.path(), clock).await;
        let host = Host { clock: clock.clock(), ..Host::new(&self.db, files, url()) };
        open(&self.db, host, AccountLimits::default()).await
    }

    /// Action and outcome of the audit events, oldest first.
    pub(crate) async fn audit_log(&self) -> Vec<String> {
        self.db.query_texts("SELECT action || ' ' || outcome FROM kernel_audit_event ORDER BY id").await
    }

    pub(crate) async fn account_exists(&self, id: kernel::UserId) -> bool {
        self.db.count_rows(&format!("users WHERE id = {id}")).await == 1
    }
}

/// The error code of a result, or `ok`.
pub(crate) fn code<T>(result: Result<T, impl Into<kernel::Error>>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.into().code().to_owned(),
    }
}

/// The fields with errors.
pub(crate) fn fields<T>(result: Result<T, Error>) -> Vec<String> {
    let error: kernel::Error = result.err().unwrap().into();
    error.fields().keys().cloned().collect()
}
