//! The services of the panel, and what it asks of others. All are for staff only.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use guildhall_kernel::{
    self as kernel, Caller, CursorPage, CursorQuery,
    audit::{Entry, Filter},
    job::JobState,
    outbox::{Stage, Summary},
};
use serde_json::{Map, Value};

use crate::{
    Activity, Area, Confirmation, Deletion, Error, Found, Graph, HealthPart, History, Key, ListQuery, NewRow,
    Reference, Result, RowDetail, Rows, StoredRow,
};

/// Lists and rows of all tables.
#[async_trait]
pub trait Panel: Send + Sync + 'static {
    /// All tables with their numbers of rows, which are up to a minute old.
    async fn tables(&self, caller: &Caller) -> Result<Vec<Area>>;
    /// Searches all tables for their names, and for rows with this id or text.
    async fn find(&self, caller: &Caller, term: &str) -> Result<Found>;
    /// A part of the rows of a table.
    async fn rows(&self, caller: &Caller, table: &str, query: ListQuery) -> Result<Rows>;
    /// The rows of a list as CSV with their keys, up to 100,000; a last line says if there are more. Recorded in the audit
    /// log.
    async fn export(
        &self,
        caller: &Caller,
        table: &str,
        query: ListQuery,
    ) -> Result<BoxStream<'static, kernel::Result<String>>>;
    /// A row with all its columns.
    async fn row(&self, caller: &Caller, table: &str, key: &Key) -> Result<RowDetail>;
    /// The form for a new row of a table.
    async fn new_row(&self, caller: &Caller, table: &str) -> Result<NewRow>;
    /// The rows of a table that a reference to it can be chosen from: those whose text or id matches.
    async fn options(&self, caller: &Caller, table: &str, term: &str) -> Result<Vec<Reference>>;
    /// What the audit log says about a row, newest first.
    async fn history(&self, caller: &Caller, table: &str, key: &Key) -> Result<Vec<History>>;
}

/// Creations, changes and deletions, each recorded in the audit log.
#[async_trait]
pub trait Writes: Send + Sync + 'static {
    /// Creates a row from the fields of its [form](Panel::new_row), and returns its key. An empty text is no value.
    async fn create(&self, caller: &Caller, table: &str, values: Vec<(String, String)>) -> Result<Key>;
    /// Changes columns of a row. `None` is null; what is the same already is not changed. Refused if the
    /// [version](crate::RowDetail::version) is known and no longer that of the row.
    async fn change(
        &self,
        caller: &Caller,
        table: &str,
        key: &Key,
        values: Vec<(String, Option<String>)>,
        known: Option<&str>,
    ) -> Result<()>;
    /// What the deletion of some rows, 100 at most, would do.
    async fn preview_deletion(&self, caller: &Caller, table: &str, keys: &[Key]) -> Result<Graph>;
    /// Deletes rows, if what was confirmed is still what would happen.
    async fn delete(&self, caller: &Caller, table: &str, keys: &[Key], confirmation: Confirmation) -> Result<Deletion>;
}

/// The dashboard.
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    /// What has happened in the last 30 days, up to a minute old.
    async fn activity(&self, caller: &Caller) -> Result<Activity>;
    /// The jobs of the server.
    async fn jobs(&self, caller: &Caller) -> Result<Vec<JobState>>;
    /// Lets a job run as soon as possible, unless it is running.
    async fn run_job(&self, caller: &Caller, name: &str) -> Result<()>;
    /// The newest messages that are not sent yet, or could not be.
    async fn unsent(&self, caller: &Caller) -> Result<Vec<Summary>>;
    /// A page of the outgoing messages, of one stage or of all.
    async fn messages(&self, caller: &Caller, stage: Option<Stage>, query: CursorQuery) -> Result<CursorPage<Summary>>;
    /// Tries to send a message now, unless it is being sent. One that has failed for good cannot be sent again.
    async fn send_now(&self, caller: &Caller, id: i64) -> Result<()>;
    /// The newest entries of the audit log.
    async fn latest(&self, caller: &Caller) -> Result<Vec<History>>;
    /// A page of the entries of the audit log that match a filter.
    async fn audit_log(&self, caller: &Caller, filter: &Filter, query: CursorQuery) -> Result<CursorPage<Entry>>;
}

/// Changes the rows of a table through the service that knows its rules. The host registers one for each such table.
#[async_trait]
pub trait TableWrites: Send + Sync + 'static {
    /// The name of the table.
    fn table(&self) -> &'static str;
    /// The columns that a row is created from; none if rows cannot be created.
    fn new_columns(&self) -> &'static [NewColumn] {
        &[]
    }
    /// The columns that can be changed.
    fn columns(&self) -> &'static [&'static str] {
        &[]
    }
    /// Whether rows can be deleted.
    fn deletes(&self) -> bool {
        false
    }
    /// Whether the service deletes rows of this table itself that would prevent the deletion of a row.
    fn removes(&self, _table: &str) -> bool {
        false
    }
    /// Whether its rows are users. Their removal also deletes rows that no foreign key deletes:
    /// [`removed_with_user`](kernel::admin::Model::removed_with_user).
    fn removes_users(&self) -> bool {
        false
    }
    /// Creates a row, and returns its key. The members of the object are [`new_columns`](Self::new_columns) with values
    /// of their types, among them all that are required.
    async fn create(&self, caller: &Caller, values: Map<String, Value>) -> kernel::Result<Key> {
        let _ = (caller, values);
        Err(Error::ReadOnly.into())
    }
    /// Changes some of the columns: members of the object, with values of their types. Called only with
    /// [`columns`](Self::columns).
    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> kernel::Result<()> {
        let _ = (caller, row, changes);
        Err(Error::ReadOnly.into())
    }
    /// Deletes a row. Called only if the service [deletes](Self::deletes) rows.
    async fn delete(&self, caller: &Caller, row: &StoredRow) -> kernel::Result<()> {
        let _ = (caller, row);
        Err(Error::ReadOnly.into())
    }
}

/// A column that a row is created from.
#[derive(Clone, Copy, Debug)]
pub struct NewColumn {
    pub(crate) name: &'static str,
    pub(crate) is_required: bool,
    pub(crate) is_checked: bool,
}

impl NewColumn {
    /// A column that needs a value.
    pub const fn required(name: &'static str) -> Self {
        Self { name, is_required: true, is_checked: false }
    }

    /// A column that may be left empty.
    pub const fn optional(name: &'static str) -> Self {
        Self { name, is_required: false, is_checked: false }
    }

    /// A boolean that is true unless somebody clears it.
    pub const fn checked(name: &'static str) -> Self {
        Self { name, is_required: false, is_checked: true }
    }
}

/// The health of the server.
#[async_trait]
pub trait Health: Send + Sync + 'static {
    /// The state of its parts.
    async fn health(&self) -> Vec<HealthPart>;
    /// The version of the server.
    fn version(&self) -> &'static str;
}
