use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    process,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::db::{Db, Migrations};

/// The environment variable with the URL of a PostgreSQL server; without it, tests run on SQLite.
const SERVER: &str = "GUILDHALL_TEST_POSTGRES";

/// A migrated database for a single test.
///
/// On SQLite it is a copy of a template file, removed on drop. If `GUILDHALL_TEST_POSTGRES` is set
/// (`postgres://…/postgres`), it is a database created from a template, removed with the server.
pub struct TestDb {
    db: Db,
    url: String,
    _folder: Option<Arc<TempDir>>,
}

impl std::ops::Deref for TestDb {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.db
    }
}

impl TestDb {
    /// Creates a database with a single connection, so that on PostgreSQL a query outside of the open transaction
    /// fails with a timeout.
    pub async fn new(migrations: Migrations) -> Self {
        Self::with_connections(migrations, 1).await
    }

    /// Creates a database for a test with concurrent transactions.
    pub async fn with_connections(migrations: Migrations, connections: u32) -> Self {
        let (url, folder) = match std::env::var(SERVER) {
            Ok(server) if !server.is_empty() => (postgres(&server, migrations).await, None),
            _ => {
                let folder = Arc::new(tempfile::tempdir().unwrap());
                (sqlite(&folder, migrations).await, Some(folder))
            }
        };
        let db = Db::connect(&url, connections).await.unwrap();
        Self { db, url, _folder: folder }
    }

    /// An owned handle.
    pub fn handle(&self) -> Db {
        self.db.clone()
    }

    /// The URL, for a second handle or another process.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Identifies a template by the names of its migrations and by the test program, since two programs may use
/// the same names for different tables.
fn fingerprint(migrations: Migrations) -> u64 {
    let mut hasher = DefaultHasher::new();
    std::env::current_exe().ok().hash(&mut hasher);
    for migration in migrations() {
        migration.name().hash(&mut hasher);
    }
    hasher.finish()
}

async fn sqlite(folder: &TempDir, migrations: Migrations) -> String {
    static TEMPLATES: LazyLock<Mutex<HashMap<u64, TempDir>>> = LazyLock::new(Mutex::default);
    let url = |path: &Path| format!("sqlite://{}?mode=rwc", path.display());

    let mut templates = TEMPLATES.lock().await;
    let key = fingerprint(migrations);
    if let Entry::Vacant(template) = templates.entry(key) {
        let folder = template.insert(tempfile::tempdir().unwrap());
        let db = Db::connect(&url(&folder.path().join("template.db")), 1).await.unwrap();
        db.migrate(migrations).await.unwrap();
        db.close().await.unwrap();
    }
    let copy = folder.path().join("test.db");
    std::fs::copy(templates[&key].path().join("template.db"), &copy).unwrap();
    url(&copy)
}

async fn postgres(server: &str, migrations: Migrations) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let admin = Database::connect(server).await.unwrap();
    let template = format!("template_{:x}", fingerprint(migrations));
    let run = async |sql: String| admin.execute_unprepared(&sql).await.unwrap();

    let url = |name: &str| {
        let (base, query) = server.split_once('?').unwrap_or((server, ""));
        let base = base.rsplit_once('/').map_or(base, |(base, _)| base);
        format!("{base}/{name}?{query}")
    };
    if !exists(&admin, &template).await {
        // Several test programs run concurrently: each migrates a draft, and the first one to rename it wins.
        let draft =
            format!("draft_{:x}_{}_{}", fingerprint(migrations), process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        run(format!("CREATE DATABASE {draft}")).await;
        let db = Db::connect(&url(&draft), 1).await.unwrap();
        db.migrate(migrations).await.unwrap();
        db.close().await.unwrap();
        let renamed = admin.execute_unprepared(&format!("ALTER DATABASE {draft} RENAME TO {template}")).await;
        if renamed.is_err() {
            run(format!("DROP DATABASE {draft}")).await;
        }
    }
    let name = format!("test_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    run(format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    admin.close().await.unwrap();
    url(&name)
}

async fn exists(admin: &DatabaseConnection, name: &str) -> bool {
    let sql = "SELECT 1 FROM pg_database WHERE datname = $1";
    let query = Statement::from_sql_and_values(DbBackend::Postgres, sql, [name.into()]);
    admin.query_one_raw(query).await.unwrap().is_some()
}
