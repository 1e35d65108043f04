//! The audit log: an append-only record of who did what, when and from where.

use sea_orm::{
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, DbErr, DerivePartialModel, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Set,
    sea_query::{Expr, ExprTrait, Query, SelectStatement},
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    Caller, CursorPage, CursorQuery, Keyed, Origin, Result, Timestamp, UserId,
    db::{self, Tx},
    entity::audit_event,
};

/// An audit event to be recorded. It must not contain secrets: no passwords or tokens, and no user name from a
/// failed sign-in, which may be a password.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    action: &'static str,
    refused: bool,
    actor: UserRef,
    subject: UserRef,
    detail: Map<String, Value>,
    scope: Option<String>,
    object: Option<String>,
}

/// A user in the log: the label stays after the account is removed.
#[derive(Clone, Debug, Default)]
struct UserRef {
    id: Option<UserId>,
    label: String,
}

impl UserRef {
    fn new(id: UserId, label: &str) -> Self {
        let label = if label.is_empty() { format!("#{id}") } else { format!("{label} #{id}") };
        Self { id: Some(id), label }
    }
}

impl AuditEvent {
    /// An event without an actor. The action begins with the name of its crate: `accounts.sign_in`.
    pub fn new(action: &'static str) -> Self {
        Self {
            action,
            refused: false,
            actor: UserRef::default(),
            subject: UserRef::default(),
            detail: Map::new(),
            scope: None,
            object: None,
        }
    }

    /// Marks an attempt that was refused.
    #[must_use]
    pub fn refused(mut self) -> Self {
        self.refused = true;
        self
    }

    /// Sets the actor.
    #[must_use]
    pub fn by(mut self, caller: &Caller) -> Self {
        self.actor = UserRef::new(caller.user, "");
        self
    }

    /// Sets a user as both actor and subject.
    #[must_use]
    pub fn own(mut self, user: UserId, label: &str) -> Self {
        self.actor = UserRef::new(user, label);
        self.subject = self.actor.clone();
        self
    }

    /// Sets the user that was acted upon.
    #[must_use]
    pub fn about(mut self, user: UserId, label: &str) -> Self {
        self.subject = UserRef::new(user, label);
        self
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the object that was acted upon and its scope, by which the log can be filtered: `deals/3`,
    /// `deals/deal/17`.
    #[must_use]
    pub fn of(mut self, scope: impl Into<String>, object: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self.object = Some(object.into());
        self
    }

    /// Records the event once per row of a query with the columns `object` and `detail` (JSON), and returns the number
    /// of rows. For a statement that changes many rows: call it before that statement, in its transaction.
    pub async fn record_each(
        self,
        conn: &impl ConnectionTrait,
        now: Timestamp,
        rows: SelectStatement,
    ) -> Result<u64, DbErr> {
        use audit_event::Column;

        let origin = Origin::current();
        let text = |value: Option<String>| Expr::val(value).cast_as("text");
        let values = [
            (Column::At, Expr::val(now).cast_as("bigint")),
            (Column::ActorId, Expr::val(self.actor.id).cast_as("bigint")),
            (Column::ActorLabel, text(Some(self.actor.label))),
            (Column::SubjectId, Expr::val(self.subject.id).cast_as("bigint")),
            (Column::SubjectLabel, text(Some(self.subject.label))),
            (Column::Action, text(Some(self.action.into()))),
            (Column::Outcome, text(Some(if self.refused { "refused" } else { "done" }.to_owned()))),
            (Column::Ip, text(origin.ip.map(|ip| ip.to_string()))),
            (Column::UserAgent, text(origin.user_agent.clone())),
            (Column::RequestId, text(origin.request_id.clone())),
            (Column::Scope, text(self.scope)),
            (Column::Object, Expr::col("object")),
            (Column::Detail, Expr::col("detail").cast_as("text")),
        ];
        let (columns, values): (Vec<_>, Vec<_>) = values.into_iter().unzip();
        let entries = Query::select().exprs(values).from_subquery(rows, "changed").take();
        let mut insert = Query::insert();
        insert.into_table(audit_event::Entity).columns(columns);
        insert.select_from(entries).map_err(|error| DbErr::Custom(error.to_string()))?;
        Ok(conn.execute(&insert).await?.rows_affected())
    }

    /// Records the event, in the transaction of the operation.
    pub async fn record(self, tx: &Tx, now: Timestamp) -> Result<(), DbErr> {
        let origin = Origin::current();
        let row = audit_event::ActiveModel {
            id: NotSet,
            at: Set(now),
            actor_id: Set(self.actor.id),
            actor_label: Set(self.actor.label),
            subject_id: Set(self.subject.id),
            subject_label: Set(self.subject.label),
            action: Set(self.action.to_owned()),
            outcome: Set(if self.refused { "refused" } else { "done" }.to_owned()),
            ip: Set(origin.ip.map(|ip| ip.to_string())),
            user_agent: Set(origin.user_agent.clone()),
            request_id: Set(origin.request_id.clone()),
            detail: Set(Value::Object(self.detail).to_string()),
            scope: Set(self.scope),
            object: Set(self.object),
        };
        db::insert_only(&tx.deferred(), row).await
    }
}

/// An entry of the audit log.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The id.
    pub id: i64,
    /// The time.
    pub at: Timestamp,
    /// The action: `accounts.sign_in`.
    pub action: String,
    /// `done` or `refused`.
    pub outcome: String,
    /// The actor, while the account exists.
    pub actor_id: Option<UserId>,
    /// The label of the actor.
    pub actor: String,
    /// The label of the user that was acted upon.
    pub subject: String,
    /// The client's IP address.
    pub ip: Option<String>,
    /// The client's user agent.
    pub user_agent: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// The object that was acted upon, if it is not a user.
    pub object: Option<String>,
    /// Further details.
    pub detail: Value,
}

#[derive(DerivePartialModel)]
#[sea_orm(entity = "audit_event::Entity")]
struct Row {
    id: i64,
    at: Timestamp,
    actor_id: Option<UserId>,
    actor_label: String,
    subject_label: String,
    action: String,
    outcome: String,
    ip: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    object: Option<String>,
    detail: String,
}

impl Keyed for Row {
    fn key(&self) -> i64 {
        self.id
    }
}

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            at: row.at,
            action: row.action,
            outcome: row.outcome,
            actor_id: row.actor_id,
            actor: row.actor_label,
            subject: row.subject_label,
            ip: row.ip,
            user_agent: row.user_agent,
            request_id: row.request_id,
            object: row.object,
            detail: serde_json::from_str(&row.detail).unwrap_or_default(),
        }
    }
}

/// The newest entries about a user, newest first.
pub async fn about(conn: &impl ConnectionTrait, subject: UserId, limit: u64) -> Result<Vec<Entry>, DbErr> {
    let rows = audit_event::Entity::find()
        .filter(audit_event::Column::SubjectId.eq(subject))
        .order_by_desc(audit_event::Column::Id)
        .limit(limit)
        .into_partial_model::<Row>()
        .all(conn)
        .await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// The newest entries, newest first.
pub async fn newest(conn: &impl ConnectionTrait, limit: u64) -> Result<Vec<Entry>, DbErr> {
    let rows = audit_event::Entity::find().order_by_desc(audit_event::Column::Id).limit(limit);
    let rows = rows.into_partial_model::<Row>().all(conn).await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// Which entries of the log to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By whom.
    pub actor: Option<UserId>,
    /// About which object: `deals/deal/17`.
    pub object: Option<String>,
}

/// A page of the entries that match a filter.
pub async fn filtered(conn: &impl ConnectionTrait, filter: &Filter, query: &CursorQuery) -> Result<CursorPage<Entry>> {
    let rows = audit_event::Entity::find()
        .apply_if(filter.actor, |rows, actor| rows.filter(audit_event::COLUMN.actor_id.eq(actor)))
        .apply_if(filter.object.as_deref(), |rows, object| rows.filter(audit_event::COLUMN.object.eq(object)));
    Ok(CursorPage::<Row>::fetch(rows, audit_event::Column::Id, query, conn).await?.map(Entry::from))
}

/// The newest entries about one of some objects, or about a user, newest first.
pub async fn latest(
    conn: &impl ConnectionTrait,
    objects: &[String],
    subject: Option<UserId>,
    limit: u64,
) -> Result<Vec<Entry>, DbErr> {
    let mut is_about = audit_event::Column::Object.is_in(objects);
    if let Some(subject) = subject {
        is_about = is_about.or(audit_event::Column::SubjectId.eq(subject));
    }
    let rows = audit_event::Entity::find().filter(is_about).order_by_desc(audit_event::Column::Id).limit(limit);
    let rows = rows.into_partial_model::<Row>().all(conn).await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// A page of the entries within a scope.
pub async fn within(conn: &impl ConnectionTrait, scope: &str, query: &CursorQuery) -> Result<CursorPage<Entry>> {
    let rows = audit_event::Entity::find().filter(audit_event::Column::Scope.eq(scope));
    Ok(CursorPage::<Row>::fetch(rows, audit_event::Column::Id, query, conn).await?.map(Entry::from))
}

/// A page of the entries about an object.
pub async fn of(conn: &impl ConnectionTrait, object: &str, query: &CursorQuery) -> Result<CursorPage<Entry>> {
    let rows = audit_event::Entity::find().filter(audit_event::Column::Object.eq(object));
    Ok(CursorPage::<Row>::fetch(rows, audit_event::Column::Id, query, conn).await?.map(Entry::from))
}

/// The newest entries about an object after a time, newest first.
pub async fn since(
    conn: &impl ConnectionTrait,
    object: &str,
    after: Timestamp,
    limit: u64,
) -> Result<Vec<Entry>, DbErr> {
    let rows = audit_event::Entity::find()
        .filter(audit_event::Column::Object.eq(object))
        .filter(audit_event::Column::At.gt(after))
        .order_by_desc(audit_event::Column::Id)
        .limit(limit)
        .into_partial_model::<Row>()
        .all(conn)
        .await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}
