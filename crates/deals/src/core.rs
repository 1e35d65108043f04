//! What the services of all areas share: the database, the host, authorization and the audit log.

pub(crate) mod access;
pub(crate) mod audit;
mod changes;
mod filter;
pub(crate) mod rollups;
pub(crate) mod sums;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use guildhall_files::Files;
use guildhall_kernel::{
    Clock, Db, Directory, Outbox, Person, Timestamp, UserId,
    db::{Failure, Tx},
    http::WebhookSender,
    mail::EmailBranding,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, Iterable, ModelTrait,
    PrimaryKeyTrait, QueryFilter, QuerySelect, Select, Statement,
    sea_query::{Expr, LockType},
};

use crate::{Error, MemberId, OrganizationId, Result, Settings, entity::member};

pub use changes::Change;
pub use filter::Filter;
pub(crate) use filter::{FILTER, Field, ValueKind, search_condition};

/// What the services need of the host.
#[derive(Clone)]
pub struct Host {
    /// The clock.
    pub clock: Clock,
    /// The directory of users.
    pub directory: Arc<dyn Directory>,
    /// The file store.
    pub files: Files,
    /// The outbox for emails and webhook messages.
    pub outbox: Outbox,
    /// Sends webhook messages; without it none are sent.
    pub webhook_sender: Option<Arc<dyn WebhookSender>>,
    /// The branding of emails.
    pub branding: EmailBranding,
    /// The settings of this crate.
    pub settings: Settings,
}

/// The database and the host, as the services of every area use them.
#[derive(Clone)]
pub(crate) struct Core {
    pub(crate) db: Db,
    pub(crate) host: Host,
}

impl Core {
    pub(crate) fn new(db: Db, host: Host) -> Self {
        Self { db, host }
    }

    pub(crate) async fn write<T, E, F, Fut>(&self, operation: F) -> Result<T, E>
    where
        E: Failure,
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.db.write(operation).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.host.clock.now()
    }

    /// Looks up users in the directory, all in one query.
    pub(crate) async fn people(&self, ids: impl IntoIterator<Item = UserId>) -> Result<HashMap<UserId, Person>> {
        let ids: Vec<UserId> = ids.into_iter().collect::<HashSet<_>>().into_iter().collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let people = self.host.directory.people(&ids).await?;
        Ok(people.into_iter().map(|person| (person.id, person)).collect())
    }

    /// Looks up members in the directory, in two queries.
    pub(crate) async fn members_as_people(
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

/// The people behind members. A member whose account was deleted has none.
#[derive(Default)]
pub(crate) struct People(HashMap<MemberId, Person>);

impl People {
    pub(crate) fn new(members: impl IntoIterator<Item = (MemberId, Person)>) -> Self {
        Self(members.into_iter().collect())
    }

    pub(crate) fn get(&self, id: MemberId) -> Option<Person> {
        self.0.get(&id).cloned()
    }
}

/// Locks a row until the transaction ends. Rows that reference it can still be inserted.
///
/// The lock is a statement of its own: a statement that waits for a lock reads the locked row anew, but other rows from
/// its old snapshot.
pub(crate) async fn lock<E: EntityTrait>(
    conn: &impl ConnectionTrait,
    id: impl Into<<E::PrimaryKey as PrimaryKeyTrait>::ValueType>,
) -> Result<()> {
    lock_as(conn, E::find_by_id(id), LockType::NoKeyUpdate).await
}

/// Locks a row that is about to be deleted. Also waits for transactions that insert rows that reference it, so that
/// these rows are counted.
pub(crate) async fn lock_to_remove<E: EntityTrait>(
    conn: &impl ConnectionTrait,
    id: impl Into<<E::PrimaryKey as PrimaryKeyTrait>::ValueType>,
) -> Result<()> {
    lock_as(conn, E::find_by_id(id), LockType::Update).await
}

/// Locks rows on PostgreSQL. SQLite has a single writer, so there is nothing to wait for.
pub(crate) async fn lock_as<E: EntityTrait>(
    conn: &impl ConnectionTrait,
    rows: Select<E>,
    lock_type: LockType,
) -> Result<()> {
    if conn.get_database_backend() == DbBackend::Postgres {
        rows.select_only().expr(Expr::val(1)).lock(lock_type).into_tuple::<i32>().all(conn).await?;
    }
    Ok(())
}

/// Maps "not found" errors to an error of an input field, and passes on all others.
pub(crate) fn as_field(field: &'static str, message: &'static str) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::NotFound(_) | Error::ClientNotFound(_) | Error::DealNotFound(_) => Error::field(field, message),
        error => error,
    }
}

/// A connection that knows at compile time whether it is a transaction.
pub(crate) trait Conn: ConnectionTrait {
    const IS_TRANSACTION: bool;
}

impl Conn for guildhall_kernel::db::Conn {
    const IS_TRANSACTION: bool = false;
}

impl Conn for Tx {
    const IS_TRANSACTION: bool = true;
}

/// Runs one statement with numbered parameters; returns the number of rows that it changed.
pub(crate) async fn execute(
    conn: &impl ConnectionTrait,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = sea_orm::Value>,
) -> Result<u64> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.execute_raw(statement).await?.rows_affected())
}

/// Runs a query for one number; returns 0 if it has no rows.
pub(crate) async fn scalar_i64(
    conn: &impl ConnectionTrait,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = sea_orm::Value>,
) -> Result<i64> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let row = conn.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default())
}

/// Runs a query for a column of numbers.
pub(crate) async fn scalars_i64(
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

/// Converts a count of the database.
pub(crate) fn to_u64(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

/// Takes the next number of a counter. Concurrent transactions wait for each other, and a rollback returns the number,
/// so numbers have no gaps. Call it late in a transaction to keep the wait short.
pub(crate) async fn next_number(conn: &impl ConnectionTrait, org: OrganizationId, kind: &str) -> Result<i64> {
    let sql = "UPDATE deals_counter SET next = next + 1 WHERE org_id = $1 AND kind = $2 RETURNING next - 1";
    match scalar_i64(conn, sql, [org.into(), kind.into()]).await? {
        0 => Err(Error::OrganizationNotFound(org)),
        next => Ok(next),
    }
}

/// Updates the columns of a row that differ.
pub(crate) async fn store<M, A>(conn: &impl ConnectionTrait, before: &M, after: &M) -> Result<()>
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
