//! Benchmarks of single calls through the public interfaces of the crates.

use std::{path::Path, sync::Arc, time::Duration};

use criterion::Criterion;
use guildhall_accounts::{
    Accounts, HashCost, Host, Settings, SignIn, SqlAccounts, Tokens, USERNAME_KEY, USERS, UserFilter, UserTokens,
};
use guildhall_bench::fill::{PASSWORD, Volume, fill, password_hash, username};
use guildhall_community::{GroupFilter, Groups, SqlCommunity, UserTable};
use guildhall_files::{Files, FolderStore, UploadLimits};
use guildhall_kernel::{Authenticate, Caller, Clock, Credentials, Db, Outbox, PageQuery, PublicUrl, testing::TestDb};
use tokio::runtime::Runtime;

/// A hash that costs almost nothing, to measure everything else.
const CHEAP: HashCost = HashCost { memory_kib: 64, passes: 1, lanes: 1 };
/// Number of users and groups in the lists.
const ROWS: u32 = 10_000;
const PAGE_SIZE: u64 = 20;
const CONNECTIONS: u32 = 4;
/// The upload limit, in bytes; nothing is uploaded.
const UPLOAD_BYTES: usize = 1 << 20;

fn main() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    // Connection pools need the runtime when they are dropped.
    let _entered = runtime.enter();
    let small = Volume { people: 10, groups: 1, posts: 10, deals: 0, messages: 0 };
    let large = Volume { people: ROWS, groups: ROWS, posts: ROWS, deals: 0, messages: 0 };
    let folder = tempfile::tempdir()?;
    let (db, accounts) = runtime.block_on(open(large, CHEAP, folder.path()))?;
    let (_expensive_db, expensive) = runtime.block_on(open(small, HashCost::default(), folder.path()))?;

    let mut criterion = Criterion::default().configure_from_args();
    let caller = token_check(&mut criterion, &runtime, &accounts)?;
    sign_in(&mut criterion, &runtime, &[("with a cheap hash", &accounts), ("with the default hash", &expensive)])?;
    let community = runtime.block_on(community(&db, &accounts, folder.path()))?;
    lists(&mut criterion, &runtime, &accounts, &community, &caller)?;
    criterion.final_summary();
    Ok(())
}

/// Opens accounts on a new database; on PostgreSQL if a test server is configured.
async fn open(volume: Volume, hash: HashCost, folder: &Path) -> anyhow::Result<(TestDb, SqlAccounts)> {
    let db = TestDb::with_connections(guildhall_migration::all, CONNECTIONS).await;
    fill(&db, volume, &password_hash(hash)?).await?;
    let host = Host { throttled: false, ..Host::new(&db, files(&db, folder).await?, url()?) };
    let settings = Settings { hash, access_token_seconds: 24 * 3600, ..Settings::default() };
    let accounts = SqlAccounts::open(db.handle(), settings, host).await?;
    Ok((db, accounts))
}

/// Files in a folder.
async fn files(db: &Db, folder: &Path) -> anyhow::Result<Files> {
    let (store, mount) = (Arc::new(FolderStore::new(folder)), url()?.join("/api").parse()?);
    Ok(Files::open(db.clone(), store, Clock::system(), mount, UploadLimits::up_to(UPLOAD_BYTES)).await?)
}

/// The community for these accounts, with its files in a folder.
async fn community(db: &Db, accounts: &SqlAccounts, folder: &Path) -> anyhow::Result<SqlCommunity> {
    let (clock, files) = (Clock::system(), files(db, folder).await?);
    let host = guildhall_community::Host {
        clock: clock.clone(),
        directory: Arc::new(accounts.clone()),
        users: UserTable { name: USERS, search_key: USERNAME_KEY },
        outbox: Outbox::new(db.clone(), clock),
        files,
        page_fetcher: None,
        name: "Guildhall".to_owned(),
        mount: url()?.join("/api/community").parse()?,
        home: url()?,
    };
    Ok(SqlCommunity::new(db.clone(), guildhall_community::Settings::default(), host))
}

fn url() -> anyhow::Result<PublicUrl> {
    Ok("http://localhost:8000".parse()?)
}

fn credentials() -> SignIn {
    SignIn { username: username(0), password: PASSWORD.to_owned() }
}

/// The authentication of every request.
fn token_check(criterion: &mut Criterion, runtime: &Runtime, accounts: &SqlAccounts) -> anyhow::Result<Caller> {
    let access = runtime.block_on(accounts.sign_in(credentials()))?.tokens.access;
    let user_token = runtime.block_on(accounts.exchange_for_user_token(credentials()))?.token;
    let access = Credentials::Bearer(access);
    let caller = runtime.block_on(accounts.authenticate(access.clone()))?;
    let mut group = criterion.benchmark_group("token check");
    for (name, credentials) in [("access token", access), ("user token", Credentials::Token(user_token))] {
        // Make sure that it succeeds: a rejection would be fast.
        runtime.block_on(accounts.authenticate(credentials.clone()))?;
        group.bench_function(name, |bencher| {
            bencher.to_async(runtime).iter(|| accounts.authenticate(credentials.clone()));
        });
    }
    group.finish();
    Ok(caller)
}

/// A sign-in: the hash queue, the hash, and the writes.
fn sign_in(criterion: &mut Criterion, runtime: &Runtime, variants: &[(&str, &SqlAccounts)]) -> anyhow::Result<()> {
    let mut group = criterion.benchmark_group("sign in");
    group.sample_size(30).measurement_time(Duration::from_secs(5));
    for (name, accounts) in variants {
        runtime.block_on(accounts.sign_in(credentials()))?;
        group.bench_function(*name, |bencher| bencher.to_async(runtime).iter(|| accounts.sign_in(credentials())));
    }
    group.finish();
    Ok(())
}

/// The first and the last page.
fn lists(
    criterion: &mut Criterion,
    runtime: &Runtime,
    accounts: &SqlAccounts,
    community: &SqlCommunity,
    caller: &Caller,
) -> anyhow::Result<()> {
    let mut group = criterion.benchmark_group("list of 20");
    for (name, number) in [("first page", 1), ("last page", u64::from(ROWS) / PAGE_SIZE)] {
        let page = PageQuery::new(number, PAGE_SIZE);
        let people = || accounts.users(caller, UserFilter::default(), page.clone());
        let groups = || community.groups.groups(Some(*caller), GroupFilter::default(), page.clone());
        runtime.block_on(people())?;
        runtime.block_on(groups())?;
        group.bench_function(format!("people, {name}"), |bencher| bencher.to_async(runtime).iter(people));
        group.bench_function(format!("groups, {name}"), |bencher| bencher.to_async(runtime).iter(groups));
    }
    group.finish();
    Ok(())
}
