//! What was changed, field by field, in the log of the kernel and in the transaction of the change; and what
//! something was like before.

use std::collections::{BTreeMap, HashMap};

use guildhall_kernel::{Caller, Slice, SliceQuery, Timestamp, audit};
use sea_orm::{ConnectionTrait, EntityTrait, IdenStatic, Iterable, ModelTrait, sea_query::ArrayType};
use serde_json::{Map, Value, json};

use super::{SqlDeals, access::Access, custom};
use crate::{Change, Currency, Error, OrganizationId, Result, event};

/// Columns that say nothing that somebody did.
const SILENT: [&str; 8] =
    ["updated_at", "search_text", "position", "import_id", "due_key", "close_key", "has_webhooks", "is_reminded"];
/// How many changes are taken back to show something as it was.
const MOST_TAKEN_BACK: u64 = 10_000;

/// A row whose changes are kept.
pub(super) trait Kept: ModelTrait {
    /// What it is: `deal`.
    const KIND: &'static str;
    /// Its id.
    fn number(&self) -> i64;
}

macro_rules! kept {
    ($($module:ident $kind:literal),*) => {
        $(impl Kept for crate::entity::$module::Model {
            const KIND: &'static str = $kind;
            fn number(&self) -> i64 {
                self.id.0
            }
        })*
    };
}

kept!(
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

/// What is nobody's business outside.
const INTERNAL: [&str; 9] =
    ["org_id", "name_key", "email_key", "phone_key", "deleted_at", "deletion_id", "custom", "is_reminded", "number"];

fn currency_of<M: Kept>(row: &M) -> Option<Currency> {
    let column = ColumnOf::<M>::iter().find(|column| column.as_str() == "currency")?;
    to_json(row.get(column)).as_str().and_then(Currency::from_code)
}

/// A column as it is called outside, where people are known by their accounts and not by their memberships.
fn wire_name(column: &str) -> String {
    match column {
        "owner_id" | "assignee_id" => column.replace("_id", "_member_id"),
        "created_by" | "recorded_by" | "decided_by" => format!("{column}_member_id"),
        column => column.trim_end_matches("_minor").to_owned(),
    }
}

/// A value in the words of the wire: moments and money as they are written there.
fn wire_value(column: &str, value: &Value, currency: Option<&Currency>) -> Value {
    match (value.as_i64(), currency) {
        (Some(micros), _) if column.ends_with("_at") => json!(Timestamp::from_unix_micros(micros)),
        (Some(minor), Some(currency)) if column.ends_with("_minor") => json!(currency.format(i128::from(minor))),
        _ => value.clone(),
    }
}

/// A row as webhooks are told it.
fn told<M: Kept>(access: &Access, row: &M) -> Value {
    let currency = currency_of(row);
    let mut data = json!({ "object": M::KIND, "organization_id": access.org.id });
    for column in ColumnOf::<M>::iter().filter(|column| {
        let name = column.as_str();
        name == "updated_at" || !(SILENT.contains(&name) || INTERNAL.contains(&name))
    }) {
        let name = column.as_str();
        data[wire_name(name)] = wire_value(name, &to_json(row.get(column)), currency.as_ref());
    }
    data
}

/// The columns in which two versions of a row differ, each with what it was and what it became.
fn difference<M: Kept>(before: &M, after: &M) -> Map<String, Value> {
    let mut changes = Map::new();
    for column in ColumnOf::<M>::iter() {
        let (old, new) = (before.get(column), after.get(column));
        if old != new && !SILENT.contains(&column.as_str()) {
            changes.insert(column.as_str().to_owned(), json!([to_json(old), to_json(new)]));
        }
    }
    changes
}

/// When a row last changed: the moment of its entry in the log too, so that a version and its change are one.
fn changed_at<M: Kept>(row: &M) -> Timestamp {
    let column = ColumnOf::<M>::iter().find(|column| column.as_str() == "updated_at");
    match column.map(|column| row.get(column)) {
        Some(sea_orm::Value::BigInt(Some(micros))) => Timestamp::from_unix_micros(micros),
        _ => Timestamp::EPOCH,
    }
}

/// Where the log of an object is found.
pub(super) fn object(access: &Access, kind: &str, id: i64) -> String {
    format!("{}/{kind}/{id}", access.realm())
}

/// One column of many rows that one statement is about to change.
pub(super) struct Bulk<'a> {
    /// What is done.
    pub(super) action: &'static str,
    /// The table, and what one of its rows is called.
    pub(super) of: (&'static str, &'static str),
    /// The column, which holds a number.
    pub(super) column: &'static str,
    /// What it becomes.
    pub(super) to: i64,
    /// Other columns that become something with it.
    pub(super) also: &'a [(&'static str, i64)],
    /// Which rows: a condition with `$1` and so on.
    pub(super) which: &'a str,
    /// Its parameters.
    pub(super) values: Vec<sea_orm::Value>,
}

impl Bulk<'_> {
    /// Notes of every row what becomes of it, as if they were changed one by one.
    pub(super) async fn note(
        self,
        conn: &impl ConnectionTrait,
        org: OrganizationId,
        caller: Option<&Caller>,
        now: Timestamp,
    ) -> Result<()> {
        let Self { of: (table, kind), column, to, which, .. } = self;
        let realm = format!("deals/{org}");
        let one =
            |column: &str, to: i64| format!("'\"{column}\":[' || COALESCE(CAST({column} AS text), 'null') || ',{to}]'");
        let also: String = self.also.iter().map(|(column, to)| format!(" || ',' || {}", one(column, *to))).collect();
        let changes = format!("'{{\"changes\":{{' || {}{also} || '}}}}'", one(column, to));
        let rows = format!(
            "SELECT '{realm}/{kind}/' || CAST(id AS text) AS object, {changes} AS detail FROM {table} WHERE {which}"
        );
        let event = audit::Event::new(self.action).of(realm, "");
        let event = match caller {
            Some(caller) => event.by(caller),
            None => event,
        };
        event.record_each(conn, now, &rows, self.values).await?;
        Ok(())
    }
}

impl SqlDeals {
    /// Notes that something came to be.
    pub(super) async fn made<M: Kept>(
        &self,
        conn: &impl ConnectionTrait,
        (caller, access): (&Caller, &Access),
        action: &'static str,
        row: &M,
    ) -> Result<()> {
        let event = audit::Event::new(action).by(caller).with("created", true);
        event.of(access.realm(), object(access, M::KIND, row.number())).record(conn, changed_at(row)).await?;
        match event::of(action, &Value::Null).filter(|_| access.org.has_webhooks) {
            Some(fact) => self.tell(conn, access, fact, told(access, row)).await,
            None => Ok(()),
        }
    }

    /// Notes what became different; nothing where nothing did.
    pub(super) async fn changed<M: Kept>(
        &self,
        conn: &impl ConnectionTrait,
        (caller, access): (&Caller, &Access),
        action: &'static str,
        before: &M,
        after: &M,
    ) -> Result<()> {
        let changes = difference(before, after);
        if changes.is_empty() {
            return Ok(());
        }
        let fact = event::of(action, &Value::Object(changes.clone())).filter(|_| access.org.has_webhooks);
        let mut event = audit::Event::new(action).by(caller).with("changes", changes.clone());
        if let Some(currency) = ColumnOf::<M>::iter().find(|column| column.as_str() == "currency") {
            event = event.with("currency", to_json(after.get(currency)));
        }
        event.of(access.realm(), object(access, M::KIND, after.number())).record(conn, changed_at(after)).await?;
        let Some(fact) = fact else { return Ok(()) };
        let mut data = told(access, after);
        let currency = currency_of(after);
        let mut told = Map::new();
        for (name, pair) in &changes {
            if name == "custom" {
                let keys = custom::keys_of(conn, access.org.id).await?;
                let own = custom::difference(pair, &keys);
                told.extend(own.into_iter().map(|(name, (before, after))| (name, json!([before, after]))));
            } else {
                let value = |at: usize| wire_value(name, &pair[at], currency.as_ref());
                told.insert(wire_name(name), json!([value(0), value(1)]));
            }
        }
        data["changes"] = Value::Object(told);
        self.tell(conn, access, fact, data).await
    }

    /// Notes an act by what is worth knowing about it.
    pub(super) async fn noted(
        &self,
        conn: &impl ConnectionTrait,
        (caller, access): (&Caller, &Access),
        action: &'static str,
        (kind, id): (&str, i64),
        detail: Vec<(&'static str, Value)>,
    ) -> Result<()> {
        let event = audit::Event::new(action).by(caller);
        let mut data = json!({ "object": kind, "id": id, "organization_id": access.org.id });
        let event = detail.into_iter().fold(event, |event, (name, value)| {
            data[name] = value.clone();
            event.with(name, value)
        });
        event.of(access.realm(), object(access, kind, id)).record(conn, self.now()).await?;
        match event::of(action, &Value::Null).filter(|_| access.org.has_webhooks) {
            Some(fact) => self.tell(conn, access, fact, data).await,
            None => Ok(()),
        }
    }

    /// A row as it was at a moment; none where it did not exist yet.
    pub(super) async fn as_of<M: Kept>(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        mut row: M,
        moment: Timestamp,
    ) -> Result<Option<M>> {
        let object = object(access, M::KIND, row.number());
        let later = audit::since(conn, &object, moment, MOST_TAKEN_BACK).await?;
        if later.len() as u64 == MOST_TAKEN_BACK {
            return Err(Error::field("as_of", format!("It has changed {MOST_TAKEN_BACK} times since then.")));
        }
        let created = ColumnOf::<M>::iter().find(|column| column.as_str() == "created_at");
        if let Some(sea_orm::Value::BigInt(Some(created))) = created.map(|column| row.get(column))
            && created > moment.unix_micros()
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

    /// What was done to an object, newest first.
    pub(super) async fn changes_of(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        kind: &str,
        id: i64,
        slice: &SliceQuery,
    ) -> Result<Slice<Change>> {
        let entries = audit::of(conn, &object(access, kind, id), slice).await?;
        self.show_changes(access, entries).await
    }

    /// Entries of the log as they are shown.
    pub(super) async fn show_changes(&self, access: &Access, entries: Slice<audit::Entry>) -> Result<Slice<Change>> {
        let (entries, slice) = entries.take();
        let people = self.people(entries.iter().filter_map(|entry| entry.actor_id)).await?;
        let tells_custom = |entry: &audit::Entry| entry.detail["changes"].get("custom").is_some();
        let keys = if entries.iter().any(tells_custom) {
            custom::keys_of(self.db.conn(), access.org.id).await?
        } else {
            HashMap::new()
        };
        let realm = format!("{}/", access.realm());
        let show = |entry: audit::Entry| Change {
            id: entry.id,
            at: entry.at,
            actor: entry.actor_id.and_then(|id| people.get(&id)).cloned(),
            object: entry.object.as_deref().and_then(|object| object.strip_prefix(&realm)).unwrap_or_default().into(),
            changes: shown(&entry.detail, &keys),
            action: entry.action,
        };
        Ok(slice.with(entries.into_iter().map(show).collect()))
    }
}

/// The changes of an entry in the words of the wire: moments and money as they are written there.
fn shown(detail: &Value, keys: &HashMap<String, String>) -> BTreeMap<String, (Value, Value)> {
    let Some(fields) = detail.as_object() else { return BTreeMap::new() };
    let currency = fields.get("currency").and_then(Value::as_str).and_then(Currency::from_code);
    let told: HashMap<&String, &Value> =
        fields.get("changes").and_then(Value::as_object).into_iter().flatten().collect();
    let change = |(name, change): (&String, &Value)| {
        if name == "custom" {
            return custom::difference(change, keys);
        }
        let pair = (wire_value(name, &change[0], currency.as_ref()), wire_value(name, &change[1], currency.as_ref()));
        vec![(name.trim_end_matches("_minor").to_owned(), pair)]
    };
    told.into_iter().flat_map(change).collect()
}
