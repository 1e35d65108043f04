//! The audit log of organizations: each entry holds the changed fields and is written in the transaction of the change.
//! Earlier versions of a row are reconstructed from it.

use std::collections::{BTreeMap, HashMap};

use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, Timestamp, audit,
    db::{self, Tx},
};
use sea_orm::{
    Condition, ConnectionTrait, EntityTrait, IdenStatic, Iterable, ModelTrait, QueryFilter,
    sea_query::{ArrayType, BinOper, Expr, ExprTrait, Query},
};
use serde_json::{Map, Value, json};

use crate::{
    Change, Currency, Error, OrganizationId, Result,
    core::{Core, access::Access},
    custom::sql as custom,
};

/// Columns excluded from the audit diff: they are derived, or not changed by people.
const UNAUDITED: [&str; 8] =
    ["updated_at", "search_text", "position", "import_id", "due_key", "close_key", "has_webhooks", "is_reminded"];
/// How many changes are undone at most to show an earlier version.
const MAX_UNDONE: u64 = 10_000;

/// A row whose changes are recorded in the audit log.
pub(crate) trait Audited: ModelTrait {
    /// The object kind: `deal`.
    const KIND: &'static str;
    fn object_id(&self) -> i64;
}

macro_rules! audited {
    ($($module:ident $kind:literal),*) => {
        $(impl Audited for crate::entity::$module::Model {
            const KIND: &'static str = $kind;
            fn object_id(&self) -> i64 {
                self.id.0
            }
        })*
    };
}

audited!(
    organization "organization", role "role", team "team", member "member", client "client", contact "contact",
    pipeline "pipeline", stage "stage", deal "deal", payment "payment",
    task "task", custom_field "custom_field", line "line", view "view"
);

fn to_json(value: sea_orm::Value) -> Value {
    match value {
        sea_orm::Value::Bool(Some(value)) => json!(value),
        sea_orm::Value::BigInt(Some(value)) => json!(value),
        sea_orm::Value::Int(Some(value)) => json!(value),
        sea_orm::Value::String(Some(value)) => json!(value),
        _ => Value::Null,
    }
}

fn from_json(value: &Value, kind: &ArrayType) -> sea_orm::Value {
    match kind {
        ArrayType::Bool => sea_orm::Value::Bool(value.as_bool()),
        ArrayType::BigInt => sea_orm::Value::BigInt(value.as_i64()),
        _ => sea_orm::Value::String(value.as_str().map(str::to_owned)),
    }
}

type ColumnOf<M> = <<M as ModelTrait>::Entity as EntityTrait>::Column;

/// A stored value as the API shows it: times in RFC 3339, money as a decimal string.
fn wire_value(column: &str, value: &Value, currency: Option<&Currency>) -> Value {
    match (value.as_i64(), currency) {
        (Some(micros), _) if column.ends_with("_at") => json!(Timestamp::from_unix_micros(micros)),
        (Some(minor), Some(currency)) if column.ends_with("_minor") => json!(currency.format(i128::from(minor))),
        _ => value.clone(),
    }
}

/// The columns in which two versions of a row differ, each with the value before and after.
fn difference<M: Audited>(before: &M, after: &M) -> Map<String, Value> {
    let mut changes = Map::new();
    for column in ColumnOf::<M>::iter() {
        let (old, new) = (before.get(column), after.get(column));
        if old != new && !UNAUDITED.contains(&column.as_str()) {
            changes.insert(column.as_str().to_owned(), json!([to_json(old), to_json(new)]));
        }
    }
    changes
}

/// When a row last changed. Its audit entry has the same time, so [`Core::as_of`] agrees with the row's version.
fn changed_at<M: Audited>(row: &M) -> Timestamp {
    let column = ColumnOf::<M>::iter().find(|column| column.as_str() == "updated_at");
    match column.map(|column| row.get(column)) {
        Some(sea_orm::Value::BigInt(Some(micros))) => Timestamp::from_unix_micros(micros),
        _ => Timestamp::EPOCH,
    }
}

/// The name of an object in the audit log: `deals/7/deal/17`.
pub(crate) fn object(access: &Access, kind: &str, id: i64) -> String {
    format!("{}/{kind}/{id}", access.scope())
}

/// One change of a column in many rows, with an audit entry for each row.
pub(crate) struct BulkChange<E: EntityTrait> {
    /// The action of the audit entries.
    pub(crate) action: &'static str,
    /// The object kind in the audit log: `deal`.
    pub(crate) kind: &'static str,
    /// The column to change, a number.
    pub(crate) column: E::Column,
    /// Its new value.
    pub(crate) value: i64,
    /// Other columns that change with it.
    pub(crate) also: Vec<(E::Column, i64)>,
    /// The rows; it must contain the organization.
    pub(crate) condition: Condition,
}

impl<E: EntityTrait> BulkChange<E> {
    /// Records the audit entries and updates the rows (also `updated_at`, where the table has it). Returns the number
    /// of rows.
    pub(crate) async fn apply(
        self,
        conn: &impl ConnectionTrait,
        org: OrganizationId,
        caller: Option<&Caller>,
        now: Timestamp,
    ) -> Result<u64> {
        let Self { action, kind, column, value, also, condition } = self;
        let backend = conn.get_database_backend();
        let values: Vec<(E::Column, i64)> = std::iter::once((column, value)).chain(also).collect();

        // The entries first, since they contain the old values.
        let scope = format!("deals/{org}");
        let object = Expr::val(format!("{scope}/{kind}/"))
            .cast_as("text")
            .binary(BinOper::Custom("||"), Expr::col("id").cast_as("text"));
        let change = |(column, value): &(E::Column, i64)| {
            let pair = [Expr::col(*column), Expr::val(*value).cast_as("bigint")];
            (column.as_str(), db::json_array(backend, pair))
        };
        let changes = db::json_object(backend, values.iter().map(change));
        let rows = Query::select()
            .expr_as(object, "object")
            .expr_as(db::json_object(backend, [("changes", changes)]), "detail")
            .from(E::default())
            .cond_where(condition.clone())
            .take();
        let event = audit::AuditEvent::new(action).of(scope, "");
        let event = match caller {
            Some(caller) => event.by(caller),
            None => event,
        };
        event.record_each(conn, now, rows).await?;

        let mut update = E::update_many().filter(condition);
        for (column, value) in values {
            update = update.col_expr(column, Expr::val(value));
        }
        if let Some(updated_at) = E::Column::iter().find(|column| column.as_str() == "updated_at") {
            update = update.col_expr(updated_at, Expr::val(now));
        }
        Ok(update.exec(conn).await?.rows_affected)
    }
}

impl Core {
    /// Records the creation of a row.
    pub(crate) async fn record_created<M: Audited>(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        action: &'static str,
        row: &M,
    ) -> Result<()> {
        let event = audit::AuditEvent::new(action).by(caller).with("created", true);
        event.of(access.scope(), object(access, M::KIND, row.object_id())).record(tx, changed_at(row)).await?;
        Ok(())
    }

    /// Records the differences between two versions of a row, if there are any.
    pub(crate) async fn record_changed<M: Audited>(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        action: &'static str,
        before: &M,
        after: &M,
    ) -> Result<()> {
        let changes = difference(before, after);
        if changes.is_empty() {
            return Ok(());
        }
        let mut event = audit::AuditEvent::new(action).by(caller).with("changes", changes.clone());
        if let Some(currency) = ColumnOf::<M>::iter().find(|column| column.as_str() == "currency") {
            event = event.with("currency", to_json(after.get(currency)));
        }
        event.of(access.scope(), object(access, M::KIND, after.object_id())).record(tx, changed_at(after)).await?;
        Ok(())
    }

    /// Records an action with details of its own.
    pub(crate) async fn record(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        action: &'static str,
        (kind, id): (&str, i64),
        detail: Vec<(&'static str, Value)>,
    ) -> Result<()> {
        let event = audit::AuditEvent::new(action).by(caller);
        let event = detail.into_iter().fold(event, |event, (name, value)| event.with(name, value));
        event.of(access.scope(), object(access, kind, id)).record(tx, self.now()).await?;
        Ok(())
    }

    /// Returns a row as it was at a time; `None` if it did not exist yet.
    pub(crate) async fn as_of<M: Audited>(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        mut row: M,
        time: Timestamp,
    ) -> Result<Option<M>> {
        let object = object(access, M::KIND, row.object_id());
        let later = audit::since(conn, &object, time, MAX_UNDONE).await?;
        if later.len() as u64 == MAX_UNDONE {
            return Err(Error::field("as_of", format!("There are {MAX_UNDONE} or more changes since that time.")));
        }
        let created = ColumnOf::<M>::iter().find(|column| column.as_str() == "created_at");
        if let Some(sea_orm::Value::BigInt(Some(created))) = created.map(|column| row.get(column))
            && created > time.unix_micros()
        {
            return Ok(None);
        }
        for entry in &later {
            let Some(changes) = entry.detail["changes"].as_object() else { continue };
            for column in ColumnOf::<M>::iter() {
                if let Some(change) = changes.get(column.as_str()) {
                    row.try_set(column, from_json(&change[0], &M::get_value_type(column)))?;
                }
            }
        }
        Ok(Some(row))
    }

    /// Returns the changes of an object, newest first.
    pub(crate) async fn changes_of(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        kind: &str,
        id: i64,
        query: &CursorQuery,
    ) -> Result<CursorPage<Change>> {
        let entries = audit::of(conn, &object(access, kind, id), query).await?;
        self.show_changes(access, entries).await
    }

    /// Converts audit entries to what the API shows.
    pub(crate) async fn show_changes(
        &self,
        access: &Access,
        entries: CursorPage<audit::Entry>,
    ) -> Result<CursorPage<Change>> {
        let (entries, page) = entries.split();
        let people = self.people(entries.iter().filter_map(|entry| entry.actor_id)).await?;
        let has_custom_fields = |entry: &audit::Entry| entry.detail["changes"].get("custom").is_some();
        let keys = if entries.iter().any(has_custom_fields) {
            custom::keys_of(self.db.conn(), access.org.id).await?
        } else {
            HashMap::new()
        };
        let scope = format!("{}/", access.scope());
        let show = |entry: audit::Entry| Change {
            id: entry.id,
            at: entry.at,
            actor: entry.actor_id.and_then(|id| people.get(&id)).cloned(),
            object: entry.object.as_deref().and_then(|object| object.strip_prefix(&scope)).unwrap_or_default().into(),
            changes: wire_changes(&entry.detail, &keys),
            action: entry.action,
        };
        Ok(page.with_results(entries.into_iter().map(show).collect()))
    }
}

/// The changes of an audit entry as the API shows them.
fn wire_changes(detail: &Value, keys: &HashMap<String, String>) -> BTreeMap<String, (Value, Value)> {
    let Some(fields) = detail.as_object() else { return BTreeMap::new() };
    let currency = fields.get("currency").and_then(Value::as_str).and_then(Currency::from_code);
    let changes: HashMap<&String, &Value> =
        fields.get("changes").and_then(Value::as_object).into_iter().flatten().collect();
    let change = |(name, change): (&String, &Value)| {
        if name == "custom" {
            return custom::difference(change, keys);
        }
        let pair = (wire_value(name, &change[0], currency.as_ref()), wire_value(name, &change[1], currency.as_ref()));
        vec![(name.trim_end_matches("_minor").to_owned(), pair)]
    };
    changes.into_iter().flat_map(change).collect()
}
