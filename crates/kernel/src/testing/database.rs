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

/// Names the server for tests on PostgreSQL; without it they run on SQLite.
const SERVER: &str = "GUILDHALL_TEST_POSTGRES";

/// A database with its tables, for one test alone.
///
/// On SQLite a file copied from a template; on PostgreSQL, where `GUILDHALL_TEST_POSTGRES` names a
/// server (`postgres://…/postgres`), a database made from a template. Removed when dropped (SQLite)
/// or with the server (PostgreSQL).
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
    /// Makes one with as few connections as there can be, so that a query that forgets the open
    /// transaction is found out.
    pub async fn new(migrations: Migrations) -> Self {
        Self::with_connections(migrations, 1).await
    }

    /// Makes one for a test in which several act at once.
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

    /// A handle that can be given away.
    pub fn handle(&self) -> Db {
        self.db.clone()
    }

    /// The address, for a second handle or another process.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Templates are told apart by the names of their migrations, and by the test program: two of them
/// may mean different tables by one name.
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
    let address = |path: &Path| format!("sqlite://{}?mode=rwc", path.display());

    let mut templates = TEMPLATES.lock().await;
    let key = fingerprint(migrations);
    if let Entry::Vacant(template) = templates.entry(key) {
        let home = template.insert(tempfile::tempdir().unwrap());
        let db = Db::connect(&address(&home.path().join("template.db")), 1).await.unwrap();
        db.migrate(migrations).await.unwrap();
        db.close().await.unwrap();
    }
    let copy = folder.path().join("test.db");
    std::fs::copy(templates[&key].path().join("template.db"), &copy).unwrap();
    address(&copy)
}

async fn postgres(server: &str, migrations: Migrations) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let admin = Database::connect(server).await.unwrap();
    let template = format!("template_{:x}", fingerprint(migrations));
    let run = async |sql: String| admin.execute_unprepared(&sql).await.unwrap();

    let address = |name: &str| {
        let (base, query) = server.split_once('?').unwrap_or((server, ""));
        let base = base.rsplit_once('/').map_or(base, |(base, _)| base);
        format!("{base}/{name}?{query}")
    };
    if !exists(&admin, &template).await {
        // Several test programs run at once: one builds, under a name of its own, and renames.
        let draft =
            format!("draft_{:x}_{}_{}", fingerprint(migrations), process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        run(format!("CREATE DATABASE {draft}")).await;
        let db = Db::connect(&address(&draft), 1).await.unwrap();
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
    address(&name)
}

async fn exists(admin: &DatabaseConnection, name: &str) -> bool {
    let sql = "SELECT 1 FROM pg_database WHERE datname = $1";
    let query = Statement::from_sql_and_values(DbBackend::Postgres, sql, [name.into()]);
    admin.query_one_raw(query).await.unwrap().is_some()
}
