//! What happened, who did it and from where: an append-only log in the database.

use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DbErr, DerivePartialModel, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Caller, Keyed, Origin, Result, Slice, SliceQuery, Timestamp, UserId, entity::audit_event};

/// Something that happened, on its way into the log. Nothing secret belongs into it: no password,
/// no token, and nothing that somebody typed where a name was asked for.
#[derive(Clone, Debug)]
pub struct Event {
    action: &'static str,
    refused: bool,
    actor: Who,
    subject: Who,
    detail: Map<String, Value>,
    realm: Option<String>,
    object: Option<String>,
}

/// A person in the log: the label stays when the account has gone.
#[derive(Clone, Debug, Default)]
struct Who {
    id: Option<UserId>,
    label: String,
}

impl Who {
    fn new(id: UserId, label: &str) -> Self {
        let label = if label.is_empty() { format!("#{id}") } else { format!("{label} #{id}") };
        Self { id: Some(id), label }
    }
}

impl Event {
    /// Something that was done, by nobody in particular so far; the action begins with its crate,
    /// `accounts.sign_in`.
    pub fn new(action: &'static str) -> Self {
        Self {
            action,
            refused: false,
            actor: Who::default(),
            subject: Who::default(),
            detail: Map::new(),
            realm: None,
            object: None,
        }
    }

    /// It was tried and refused.
    #[must_use]
    pub fn refused(mut self) -> Self {
        self.refused = true;
        self
    }

    /// Who did it.
    #[must_use]
    pub fn by(mut self, caller: &Caller) -> Self {
        self.actor = Who::new(caller.user, "");
        self
    }

    /// A person who did it to themselves.
    #[must_use]
    pub fn own(mut self, user: UserId, label: &str) -> Self {
        self.actor = Who::new(user, label);
        self.subject = self.actor.clone();
        self
    }

    /// Whom it was done to.
    #[must_use]
    pub fn about(mut self, user: UserId, label: &str) -> Self {
        self.subject = Who::new(user, label);
        self
    }

    /// Something worth knowing about it.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }

    /// What it was done to, and within what, where these have logs of their own: `deals/3`, `deals/deal/17`.
    #[must_use]
    pub fn of(mut self, realm: impl Into<String>, object: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self.object = Some(object.into());
        self
    }

    /// Writes it into the log once for each row of a statement that gives two columns, `object` and `detail`: what
    /// it was done to, and JSON of what is worth knowing. For what one statement does to many rows; belongs before
    /// that, in its transaction. Gives how many there were.
    pub async fn record_each(
        self,
        conn: &impl ConnectionTrait,
        now: Timestamp,
        rows: &str,
        mut values: Vec<sea_orm::Value>,
    ) -> Result<u64, DbErr> {
        let origin = Origin::current();
        let given = values.len();
        let own: [sea_orm::Value; 11] = [
            now.into(),
            self.actor.id.into(),
            self.actor.label.into(),
            self.subject.id.into(),
            self.subject.label.into(),
            self.action.into(),
            if self.refused { "refused" } else { "done" }.into(),
            origin.ip.map(|ip| ip.to_string()).into(),
            origin.user_agent.clone().into(),
            origin.request_id.clone().into(),
            self.realm.into(),
        ];
        // PostgreSQL wants to know what a parameter is that stands in a list of columns.
        let kinds = ["bigint", "bigint", "text", "bigint", "text", "text", "text", "text", "text", "text", "text"];
        let own_places: Vec<String> =
            (given + 1..).zip(kinds).map(|(place, kind)| format!("CAST(${place} AS {kind})")).collect();
        values.extend(own);
        let sql = format!(
            "INSERT INTO kernel_audit_event (at, actor_id, actor_label, subject_id, subject_label, action, outcome, \
             ip, user_agent, request_id, realm, object, detail) \
             SELECT {}, changed.object, changed.detail FROM ({rows}) AS changed",
            own_places.join(", ")
        );
        let statement = sea_orm::Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
        Ok(conn.execute_raw(statement).await?.rows_affected())
    }

    /// Writes it into the log, in the transaction of what happened.
    pub async fn record(self, conn: &impl ConnectionTrait, now: Timestamp) -> Result<(), DbErr> {
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
            realm: Set(self.realm),
            object: Set(self.object),
        };
        audit_event::Entity::insert(row).exec_without_returning(conn).await.map(|_| ())
    }
}

/// Something that happened, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Its number.
    pub id: i64,
    /// When it happened.
    pub at: Timestamp,
    /// What was done.
    pub action: String,
    /// `done` or `refused`.
    pub outcome: String,
    /// Who did it, while their account exists.
    pub actor_id: Option<UserId>,
    /// Who did it.
    pub actor: String,
    /// Whom it was done to.
    pub subject: String,
    /// From where.
    pub ip: Option<String>,
    /// With what.
    pub user_agent: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// What it was done to, where that is no person.
    pub object: Option<String>,
    /// What else there is to know.
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

/// What was done to a person, newest first, at most so much.
pub async fn about(conn: &impl ConnectionTrait, subject: UserId, most: u64) -> Result<Vec<Entry>, DbErr> {
    let rows = audit_event::Entity::find()
        .filter(audit_event::Column::SubjectId.eq(subject))
        .order_by_desc(audit_event::Column::Id)
        .limit(most)
        .into_partial_model::<Row>()
        .all(conn)
        .await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// What happened within a realm, as one stretch of its log.
pub async fn within(conn: &impl ConnectionTrait, realm: &str, slice: &SliceQuery) -> Result<Slice<Entry>> {
    let rows = audit_event::Entity::find().filter(audit_event::Column::Realm.eq(realm));
    Ok(Slice::<Row>::fetch(rows, audit_event::Column::Id, slice, conn).await?.map(Entry::from))
}

/// What was done to an object, as one stretch of its log.
pub async fn of(conn: &impl ConnectionTrait, object: &str, slice: &SliceQuery) -> Result<Slice<Entry>> {
    let rows = audit_event::Entity::find().filter(audit_event::Column::Object.eq(object));
    Ok(Slice::<Row>::fetch(rows, audit_event::Column::Id, slice, conn).await?.map(Entry::from))
}

/// What was done to an object after a moment, newest first; at most so much.
pub async fn since(
    conn: &impl ConnectionTrait,
    object: &str,
    moment: Timestamp,
    most: u64,
) -> Result<Vec<Entry>, DbErr> {
    let rows = audit_event::Entity::find()
        .filter(audit_event::Column::Object.eq(object))
        .filter(audit_event::Column::At.gt(moment))
        .order_by_desc(audit_event::Column::Id)
        .limit(most)
        .into_partial_model::<Row>()
        .all(conn)
        .await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}
