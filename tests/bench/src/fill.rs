//! Databases with people and groups in them.

use std::path::Path;

use anyhow::{Context, ensure};
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use guildhall_accounts::HashCost;
use guildhall_kernel::{Db, Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use serde::Serialize;

/// The password of everybody.
pub const PASSWORD: &str = "correct horse battery";
/// How many are in a group beside its owner.
const MEMBERS: i64 = 4;
/// A second, as the database keeps time.
const SECOND: i64 = 1_000_000;

// One statement fills a table. The columns are named, and those that can be empty left out, so that a new
// column with a default changes nothing here.
const PEOPLE: &str = "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
    INSERT INTO users (public_id, username, username_key, display_name, first_name, last_name, email, email_key, \
    email_verified_at, password_hash, is_active, is_teacher, is_staff, is_superuser, auth_epoch, created_at, \
    updated_at) \
    SELECT {uuid}, 'person' || i, 'person' || i, '', 'First' || i, 'Last' || i, 'person' || i || '@example.org', \
    'person' || i || '@example.org', $3 + i * $4, $2, true, false, false, false, 0, $3 + i * $4, $3 + i * $4 FROM n";
const GROUPS: &str = "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
    INSERT INTO community_group (name, name_key, slug, description, category, is_private, is_corporate_group, \
    creator_id, created_at, updated_at) \
    SELECT 'Group ' || i, 'group ' || i, 'group-' || i, 'What the members have in common, in a sentence or two.', \
    'general', false, false, (SELECT MIN(id) FROM users) + i % $2, $3 + i * $4, $3 + i * $4 FROM n";
const OWNERS: &str = "INSERT INTO community_membership (group_id, user_id, role, joined_at) \
    SELECT id, creator_id, 'owner', created_at FROM community_group";
const OTHERS: &str = "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
    INSERT INTO community_membership (group_id, user_id, role, joined_at) \
    SELECT g.id, p.lowest + (g.creator_id - p.lowest + i) % $2, 'member', g.created_at \
    FROM community_group g CROSS JOIN n CROSS JOIN (SELECT MIN(id) AS lowest FROM users) p";

/// How much there is in a database.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Volume {
    /// How many people; more than are in a group.
    pub people: u32,
    /// How many groups; at least one.
    pub groups: u32,
}

/// The name of a person, counted from 0.
pub fn username(person: u32) -> String {
    format!("person{}", person + 1)
}

/// The hash of [`PASSWORD`], in PHC format.
pub fn password_hash(cost: HashCost) -> anyhow::Result<String> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Ok(argon2.hash_password(PASSWORD.as_bytes())?.to_string())
}

/// Fills a database that has its tables and nothing in them.
pub async fn fill(db: &Db, volume: Volume, password_hash: &str) -> Result<(), DbErr> {
    let statements = statements(db.backend(), volume, password_hash);
    db.write(|tx| {
        let statements = statements.clone();
        async move {
            for statement in statements {
                tx.conn().execute_raw(statement).await?;
            }
            Ok::<(), DbErr>(())
        }
    })
    .await?;
    if db.backend() == DbBackend::Postgres {
        // Or it would do so by itself, some time during the run.
        db.conn().execute_unprepared("VACUUM ANALYZE").await?;
    }
    Ok(())
}

fn statements(backend: DbBackend, volume: Volume, password_hash: &str) -> [Statement; 4] {
    let (people, groups) = (i64::from(volume.people), i64::from(volume.groups));
    let uuid = if backend == DbBackend::Postgres { "gen_random_uuid()" } else { "randomblob(16)" };
    let begun = Timestamp::now().unix_micros() - people.max(groups) * SECOND;
    let with = |sql: &str, values: Vec<sea_orm::Value>| Statement::from_sql_and_values(backend, sql, values);
    [
        with(&PEOPLE.replace("{uuid}", uuid), vec![people.into(), password_hash.into(), begun.into(), SECOND.into()]),
        with(GROUPS, vec![groups.into(), people.into(), begun.into(), SECOND.into()]),
        with(OWNERS, Vec::new()),
        with(OTHERS, vec![MEMBERS.into(), people.into()]),
    ]
}

/// Fills the database at an address, and says what database it is.
///
/// # Errors
/// When somebody is in it already.
pub async fn fill_at(url: &str, volume: Volume, password_hash: &str) -> anyhow::Result<String> {
    let db = Db::connect(url, 1).await?;
    let people = db.conn().query_one_raw(Statement::from_string(db.backend(), "SELECT COUNT(*) FROM users")).await?;
    let people: i64 = people.context("nothing can be counted")?.try_get_by_index(0)?;
    ensure!(people == 0, "the database has people in it; give the benchmark one of its own");
    fill(&db, volume, password_hash).await?;
    let database = describe(&db).await?;
    db.close().await?;
    Ok(database)
}

/// The database's version, and what a commit of it is worth.
async fn describe(db: &Db) -> anyhow::Result<String> {
    let sql = if db.backend() == DbBackend::Postgres {
        "SELECT 'PostgreSQL ' || current_setting('server_version') || ', synchronous_commit ' \
         || current_setting('synchronous_commit') || ', fsync ' || current_setting('fsync')"
    } else {
        "SELECT 'SQLite ' || sqlite_version() || ', WAL, synchronous FULL'"
    };
    let row = db.conn().query_one_raw(Statement::from_string(db.backend(), sql)).await?;
    Ok(row.context("the database does not say what it is")?.try_get_by_index(0)?)
}

/// The addresses of the two databases of a run, so that neither side reads what the other has written.
pub struct Databases {
    /// The server's.
    pub server: String,
    /// The floor's.
    pub floor: String,
    /// The floor's name, where it was made on a server and has to be dropped.
    made: Option<String>,
}

impl Databases {
    /// Two files in a folder; or, where an address on PostgreSQL is given, that database and a new one
    /// beside it, with `_floor` behind its name.
    pub async fn choose(url: Option<&str>, folder: &Path) -> anyhow::Result<Self> {
        let Some(url) = url else {
            let file = |name: &str| format!("sqlite://{}?mode=rwc", folder.join(name).display());
            return Ok(Self { server: file("server.db"), floor: file("floor.db"), made: None });
        };
        ensure!(url.starts_with("postgres"), "the address must begin with postgres://; SQLite needs none");
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (server, name) = base.rsplit_once('/').context("the address names no database")?;
        let name = format!("{name}_floor");
        run(url, &format!("CREATE DATABASE {}", quoted(&name)))
            .await
            .with_context(|| format!("cannot make the database {name}; where an earlier run has left it, drop it"))?;
        Ok(Self { server: url.to_owned(), floor: format!("{server}/{name}?{query}"), made: Some(name) })
    }

    /// Drops what [`choose`](Self::choose) has made on a server.
    pub async fn tidy(&self) -> anyhow::Result<()> {
        if let Some(name) = &self.made {
            run(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", quoted(name))).await?;
        }
        Ok(())
    }
}

async fn run(url: &str, sql: &str) -> anyhow::Result<()> {
    let db = Db::connect(url, 1).await?;
    db.conn().execute_unprepared(sql).await?;
    Ok(db.close().await?)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
