use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use guildhall_accounts::{
    Account, Accounts, Device, Error, HashCost, NewUser, Result, Settings, SignIn, SignedIn, SqlAccounts, Tokens,
    migrations,
};
use guildhall_kernel::{self as kernel, Authenticate, Caller, Clock, Credentials, Timestamp, testing::TestDb};

pub(crate) const PASSWORD: &str = "correct horse é";

/// The services on a database of their own, with a clock that a test can move.
pub(crate) struct Harness {
    pub db: TestDb,
    pub accounts: SqlAccounts,
    ahead: Arc<AtomicI64>,
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
    let db = TestDb::with_connections(migrations, connections).await;
    let ahead = Arc::new(AtomicI64::new(0));
    let seconds = ahead.clone();
    let clock = Clock::from_fn(move || {
        let seconds = u64::try_from(seconds.load(Ordering::SeqCst)).unwrap();
        Timestamp::now() + Duration::from_secs(seconds)
    });
    let hash = HashCost { memory_kib: 64, passes: 1, lanes: 1 };
    let settings = Settings { hash, ..Settings::default() };
    let accounts = SqlAccounts::open(db.handle(), settings, clock).await.unwrap();
    Harness { db, accounts, ahead }
}

pub(crate) fn somebody(name: &str) -> NewUser {
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

pub(crate) fn caller(account: &Account) -> Caller {
    Caller { user: account.user.id, roles: account.user.roles }
}

impl Harness {
    /// Lets time pass.
    pub(crate) fn wait(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) async fn registered(&self, name: &str) -> Account {
        self.accounts.register(somebody(name)).await.unwrap()
    }

    pub(crate) async fn signs_in(&self, name: &str) -> SignedIn {
        self.try_sign_in(name, PASSWORD).await.unwrap()
    }

    pub(crate) async fn try_sign_in(&self, name: &str, password: &str) -> Result<SignedIn> {
        self.accounts.sign_in(credentials(name, password), Device::default()).await
    }

    pub(crate) async fn shows(&self, access: &str) -> kernel::Result<Caller> {
        self.accounts.authenticate(Credentials::Bearer(access.to_owned())).await
    }

    pub(crate) async fn shows_user_token(&self, token: &str) -> kernel::Result<Caller> {
        self.accounts.authenticate(Credentials::Token(token.to_owned())).await
    }

    /// How many rows a table has.
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        use sea_orm::{ConnectionTrait, Statement};

        let sql = format!("SELECT COUNT(*) FROM {table}");
        let row = self.db.conn().query_one_raw(Statement::from_string(self.db.backend(), sql)).await;
        row.unwrap().unwrap().try_get_by_index(0).unwrap()
    }
}

/// The stable code of a refusal.
pub(crate) fn code<T>(outcome: Result<T, impl Into<kernel::Error>>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.into().code().to_owned(),
    }
}

/// The fields that a refusal names.
pub(crate) fn fields<T>(outcome: Result<T, Error>) -> Vec<String> {
    let error: kernel::Error = outcome.err().unwrap().into();
    error.fields().keys().cloned().collect()
}
