//! What the services of all areas share: the database, the host, authorization and the audit log.

pub(crate) mod access;
pub(crate) mod audit;
mod changes;
mod filter;
pub(crate) mod objects;
pub(crate) mod rollups;
pub(crate) mod scope;
pub(crate) mod store;
pub(crate) mod sums;
pub(crate) mod views;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use guildhall_files::Files;
use guildhall_kernel::{
    Clock, Db, Directory, Outbox, Person, Timestamp, UserId,
    db::{self, Pipeline, Tx},
    http::WebhookSender,
    mail::EmailBranding,
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

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

    pub(crate) fn now(&self) -> Timestamp {
        self.host.clock.now()
    }

    /// Looks up users in the directory, all in one query.
    pub(crate) async fn people(&self, ids: impl IntoIterator<Item = UserId>) -> Result<HashMap<UserId, Person>> {
        Ok(self.host.directory.people_by_id(ids).await?)
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
        self.accounts_as_people(members.into_iter().filter_map(|(id, user)| Some((id, user?)))).await
    }

    /// Looks up members in the directory, in two queries; in one if they are all the caller.
    pub(crate) async fn colleagues_as_people(
        &self,
        conn: &impl ConnectionTrait,
        own: &member::Model,
        ids: impl IntoIterator<Item = MemberId>,
    ) -> Result<People> {
        let ids: HashSet<MemberId> = ids.into_iter().collect();
        match own.user_id {
            Some(user) if ids == HashSet::from([own.id]) => self.accounts_as_people([(own.id, user)]).await,
            _ => self.members_as_people(conn, ids).await,
        }
    }

    /// Looks up members whose accounts are known in the directory, in one query.
    pub(crate) async fn accounts_as_people(
        &self,
        members: impl IntoIterator<Item = (MemberId, UserId)>,
    ) -> Result<People> {
        let members: HashMap<MemberId, UserId> = members.into_iter().collect();
        let people = self.people(members.values().copied()).await?;
        let person = |(id, user): (MemberId, UserId)| Some((id, people.get(&user)?.clone()));
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

    /// The same connection for independent statements of joined futures.
    fn pipeline(&self) -> Pipeline<'_>;
}

impl Conn for db::Conn {
    const IS_TRANSACTION: bool = false;

    fn pipeline(&self) -> Pipeline<'_> {
        self.pipeline()
    }
}

impl Conn for Tx {
    const IS_TRANSACTION: bool = true;

    fn pipeline(&self) -> Pipeline<'_> {
        self.pipeline()
    }
}

/// Converts a count of the database.
pub(crate) fn to_u64(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

/// Takes consecutive numbers of a counter; returns the first one. Concurrent transactions wait for each other, and a
/// rollback returns the numbers, so numbers have no gaps. Call it late in a transaction to keep the wait short, and last
/// among joined statements: PostgreSQL executes them in order.
pub(crate) async fn take_numbers(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    kind: &str,
    count: i64,
) -> Result<i64> {
    let sql = "UPDATE deals_counter SET next = next + $3 WHERE org_id = $1 AND kind = $2 RETURNING next - $3";
    let first = db::scalar(conn, sql, [org.into(), kind.into(), count.into()]).await?;
    first.ok_or(Error::OrganizationNotFound(org))
}
