//! The services on a database.

mod access;
mod board;
mod changes;
mod cleanup;
mod clients;
mod contacts;
mod custom;
mod deals;
mod doctor;
mod export;
mod files;
mod import;
mod invitations;
mod lines;
mod members;
mod merge;
mod organizations;
mod payments;
mod pipelines;
mod removal;
mod reports;
mod roles;
mod rollups;
mod search;
mod sheet;
mod teams;
mod trash;
mod upkeep;
mod views;
mod webhooks;
mod work;
mod workbook;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use guildhall_kernel::{
    Clock, Db, Directory, Gate, Outbox, Person, Timestamp, UserId,
    db::{Failure, Tx},
    file::Files,
    letter::Letterhead,
    web::Post,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, Iterable, ModelTrait,
    PrimaryKeyTrait, QueryFilter, QuerySelect, Select, Statement,
    sea_query::{Expr, LockType},
};

use crate::{Error, MemberId, OrganizationId, Result, Settings, entity::member};

pub use cleanup::{Accounts, Refusal, Which};
pub use removal::Removal;

/// What the services stand in.
#[derive(Clone)]
pub struct Host {
    /// Where they read the time.
    pub clock: Clock,
    /// Who people are.
    pub directory: Arc<dyn Directory>,
    /// Where files are kept.
    pub files: Files,
    /// Where letters are left, and what webhooks are told.
    pub outbox: Outbox,
    /// What tells webhooks; none where nothing is sent.
    pub post: Option<Arc<dyn Post>>,
    /// In whose name letters are written.
    pub letterhead: Letterhead,
    /// What one person may do.
    pub settings: Settings,
}

/// Deals on a database: implements [`Organizations`](crate::Organizations), [`Clients`](crate::Clients),
/// [`Deals`](crate::Deals) and [`Payments`](crate::Payments).
#[derive(Clone)]
pub struct SqlDeals {
    db: Db,
    host: Host,
    /// Something was left in the outbox by an act that may not be through yet.
    news: Arc<AtomicBool>,
    /// Reading tables takes much memory.
    tables: Gate,
}

impl SqlDeals {
    /// The services on a database with its tables.
    pub fn new(db: Db, host: Host) -> Self {
        Self { db, host, news: Arc::default(), tables: Gate::new(import::TABLES) }
    }

    /// Where files are kept.
    pub(crate) fn files(&self) -> &Files {
        &self.host.files
    }

    /// One transaction; what it has left in the outbox is sent once it is through.
    async fn act<T, E, F, Fut>(&self, act: F) -> Result<T, E>
    where
        E: Failure,
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let outcome = self.db.write(act).await;
        if self.news.swap(false, Relaxed) {
            self.host.outbox.wake();
        }
        outcome
    }

    /// Something was left in the outbox.
    fn has_news(&self) {
        self.news.store(true, Relaxed);
    }

    fn now(&self) -> Timestamp {
        self.host.clock.now()
    }

    /// These people by their accounts, in one query of the directory's.
    async fn people(&self, ids: impl IntoIterator<Item = UserId>) -> Result<HashMap<UserId, Person>> {
        let ids: Vec<UserId> = ids.into_iter().collect::<HashSet<_>>().into_iter().collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let people = self.host.directory.people(&ids).await?;
        Ok(people.into_iter().map(|person| (person.id, person)).collect())
    }

    /// Who these members are, in two statements.
    async fn members_as_people(
        &self,
        conn: &impl ConnectionTrait,
        ids: impl IntoIterator<Item = MemberId>,
    ) -> Result<People> {
        let ids: HashSet<MemberId> = ids.into_iter().collect();
        if ids.is_empty() {
            return Ok(People::default());
        }
        let members: Vec<(MemberId, Option<UserId>)> = member::Entity::find()
            .select_only()
            .column(member::Column::Id)
            .column(member::Column::UserId)
            .filter(member::COLUMN.id.is_in(ids))
            .into_tuple()
            .all(conn)
            .await?;
        let people = self.people(members.iter().filter_map(|(_, user)| *user)).await?;
        let person = |(id, user): (MemberId, Option<UserId>)| Some((id, people.get(&user?)?.clone()));
        Ok(People(members.into_iter().filter_map(person).collect()))
    }
}

/// Members as people; none for somebody whose account is gone.
#[derive(Default)]
struct People(HashMap<MemberId, Person>);

impl People {
    /// These members.
    fn of(known: impl IntoIterator<Item = (MemberId, Person)>) -> Self {
        Self(known.into_iter().collect())
    }

    fn get(&self, id: MemberId) -> Option<Person> {
        self.0.get(&id).cloned()
    }
}

/// Locks a row until the transaction ends, in a statement of its own: one that waits for a lock sees the locked
/// row as it is then, but all else as it was before. Rows that point at it can still be written.
async fn lock<E: EntityTrait>(
    conn: &impl ConnectionTrait,
    id: impl Into<<E::PrimaryKey as PrimaryKeyTrait>::ValueType>,
) -> Result<()> {
    lock_as(conn, E::find_by_id(id), LockType::NoKeyUpdate).await
}

/// The same of a row that is about to go: waits also for rows that are being written and point at it, so that
/// they are counted.
async fn lock_to_remove<E: EntityTrait>(
    conn: &impl ConnectionTrait,
    id: impl Into<<E::PrimaryKey as PrimaryKeyTrait>::ValueType>,
) -> Result<()> {
    lock_as(conn, E::find_by_id(id), LockType::Update).await
}

async fn lock_as<E: EntityTrait>(conn: &impl ConnectionTrait, rows: Select<E>, how: LockType) -> Result<()> {
    // On SQLite there is one writer, and nothing to wait for.
    if conn.get_database_backend() == DbBackend::Postgres {
        rows.select_only().expr(Expr::val(1)).lock(how).into_tuple::<i32>().all(conn).await?;
    }
    Ok(())
}

/// What is not there is a fault of a field; whatever else went wrong is none.
fn as_field(field: &'static str, message: &'static str) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::NotFound(_) | Error::ClientNotFound(_) | Error::DealNotFound(_) => Error::field(field, message),
        error => error,
    }
}

/// A connection that knows whether it is a transaction.
trait Conn: ConnectionTrait {
    /// What is read holds until the end.
    const IS_ACT: bool;
}

impl Conn for guildhall_kernel::db::Conn {
    const IS_ACT: bool = false;
}

impl Conn for sea_orm::DatabaseTransaction {
    const IS_ACT: bool = true;
}

/// Runs one statement with numbered parameters; gives how many rows it changed.
async fn run(
    conn: &impl ConnectionTrait,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = sea_orm::Value>,
) -> Result<u64> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.execute_raw(statement).await?.rows_affected())
}

/// The one number that a statement gives.
async fn number(
    conn: &impl ConnectionTrait,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = sea_orm::Value>,
) -> Result<i64> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let row = conn.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default())
}

/// The first column of the rows that a statement gives: numbers.
async fn column_of(
    conn: &impl ConnectionTrait,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = sea_orm::Value>,
) -> Result<Vec<i64>> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let mut numbers = Vec::new();
    for row in conn.query_all_raw(statement).await? {
        numbers.push(row.try_get_by_index(0)?);
    }
    Ok(numbers)
}

/// How many rows a count gave.
fn many(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

/// The next number of a kind: waits for whoever takes one at the same time, and gives it back where the
/// transaction fails. Asked for last, so that others wait for as short as can be.
async fn next_number(conn: &impl ConnectionTrait, org: OrganizationId, kind: &str) -> Result<i64> {
    let sql = "UPDATE deals_counter SET next = next + 1 WHERE org_id = $1 AND kind = $2 RETURNING next - 1";
    match number(conn, sql, [org.into(), kind.into()]).await? {
        0 => Err(Error::OrganizationNotFound(org)),
        next => Ok(next),
    }
}

/// Stores what is different in a row.
async fn store<M, A>(conn: &impl ConnectionTrait, before: &M, after: &M) -> Result<()>
where
    M: ModelTrait + IntoActiveModel<A>,
    A: ActiveModelTrait<Entity = M::Entity>,
{
    let mut row = before.clone().into_active_model();
    for column in <M::Entity as EntityTrait>::Column::iter() {
        let value = after.get(column);
        if before.get(column) != value {
            row.set(column, value);
        }
    }
    M::Entity::update(row).exec_without_returning(conn).await?;
    Ok(())
}
