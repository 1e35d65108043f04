use std::hash::{DefaultHasher, Hash, Hasher};

use async_trait::async_trait;
use guildhall_kernel::{
    self as kernel, Caller,
    admin::{Column, Kind, Model},
    audit::AuditEvent,
    db::{Tx, violated_constraint},
};
use sea_orm::{
    ConnectionTrait, DbErr,
    sea_query::{Alias, Expr, ExprTrait, Query},
};
use serde_json::{Map, Value};

use super::{
    SCOPE, SqlPanel,
    columns::{col, null, value},
    panel::key_condition,
};
use crate::{Confirmation, Deletion, Error, Graph, Key, NewColumn, Result, StoredRow, Writes};

/// The maximum length of a value in the audit log.
const MAX_LOGGED: usize = 200;

/// The object of a row in the audit log.
pub(super) fn object(model: &Model, key: &Key) -> String {
    format!("{SCOPE}/{}/{key}", model.table)
}

/// A column that changes.
struct Change<'a> {
    column: &'a Column,
    before: Option<String>,
    after: Option<String>,
}

#[async_trait]
impl Writes for SqlPanel {
    async fn create(&self, caller: &Caller, table: &str, values: Vec<(String, String)>) -> Result<Key> {
        let model = self.open(caller, table)?;
        let Some(writes) = self.writes_of(model) else { return Err(Error::ReadOnly) };
        let mut members = Map::new();
        for (name, text) in values.into_iter().filter(|(_, text)| !text.trim().is_empty()) {
            let Some(column) = model.column(&name).filter(|_| is_new(writes.new_columns(), &name)) else {
                return Err(Error::ReadOnly);
            };
            members.insert(name, member(column, &text)?);
        }
        let is_missing = |new: &&NewColumn| new.is_required && !members.contains_key(new.name);
        if let Some(missing) = writes.new_columns().iter().find(is_missing) {
            return Err(Error::field(missing.name, "This field is required."));
        }
        let key = writes.create(caller, members).await.map_err(by_rule)?;
        let event = AuditEvent::new("admin.create").by(caller).of(SCOPE, object(model, &key));
        let event = &event.with("table", model.table.as_str());
        let now = self.0.clock.now();
        self.0.db.write(|tx| async move { event.clone().record(&tx, now).await }).await?;
        Ok(key)
    }

    async fn change(
        &self,
        caller: &Caller,
        table: &str,
        key: &Key,
        values: Vec<(String, Option<String>)>,
        known: Option<&str>,
    ) -> Result<()> {
        let model = self.open(caller, table)?;
        let before = self.read_row(model, key).await?.ok_or(Error::NotFound)?;
        if known.is_some_and(|known| known != self.version(model, &before)) {
            return Err(Error::Stale);
        }
        let editable = self.editable(model);
        let mut changes = Vec::new();
        for (name, after) in values {
            let at = model.columns.iter().position(|column| column.name == name);
            let Some((column, before)) = at.and_then(|at| Some((model.columns.get(at)?, before.get(at)?))) else {
                return Err(Error::NotFound);
            };
            if !editable.contains(&name.as_str()) {
                return Err(Error::ReadOnly);
            }
            // An empty text is null only where there may be none.
            let after = after.or_else(|| (column.kind == Kind::Text && !column.nullable).then(String::new));
            if after != *before {
                changes.push(Change { column, before: before.clone(), after });
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        if let Some(writes) = self.writes_of(model) {
            let row = stored_row(model, key, before);
            writes.update(caller, &row, members(&changes)?).await.map_err(by_rule)?;
            let event = change_event(caller, model, key, &changes);
            let now = self.0.clock.now();
            let event = &event;
            return self.0.db.write(|tx| async move { Ok(event.clone().record(&tx, now).await?) }).await;
        }
        self.store(caller, model, key, &changes).await
    }

    async fn preview_deletion(&self, caller: &Caller, table: &str, keys: &[Key]) -> Result<Graph> {
        let model = self.open(caller, table)?;
        if !self.table(model).is_deletable {
            return Err(Error::ReadOnly);
        }
        self.graph(model, keys).await
    }

    async fn delete(&self, caller: &Caller, table: &str, keys: &[Key], confirmation: Confirmation) -> Result<Deletion> {
        let graph = self.preview_deletion(caller, table, keys).await?;
        let model = self.open(caller, table)?;
        if graph.token() != confirmation.token {
            return Ok(Deletion::Changed(Box::new(graph)));
        }
        let is_wrong = |expected: &String| spaced(expected) != spaced(&confirmation.typed);
        if graph.confirmation.as_ref().is_some_and(is_wrong) {
            return Err(Error::field("confirmation", "This is not what has to be typed."));
        }
        let now = self.0.clock.now();
        let event = |key: &Key, title: &str| {
            let event = AuditEvent::new("admin.delete").by(caller).of(SCOPE, object(model, key));
            event.with("table", model.table.as_str()).with("title", title).with("rows", graph.total.number)
        };
        if let Some(writes) = self.writes_of(model) {
            // Each is a transaction of its service, and recorded as soon as it is done.
            for (key, title) in &graph.rows {
                let Some(texts) = self.read_row(model, key).await? else { continue };
                writes.delete(caller, &stored_row(model, key, texts)).await.map_err(by_rule)?;
                let event = &event(key, title);
                self.0.db.write(|tx| async move { event.clone().record(&tx, now).await }).await?;
            }
            return Ok(Deletion::Done);
        }
        let conditions = graph.rows.iter().filter_map(|(key, _)| key_condition(model, key));
        let is_chosen = conditions.reduce(ExprTrait::or);
        let Some(is_chosen) = is_chosen else { return Err(Error::NotFound) };
        let events: Vec<AuditEvent> = graph.rows.iter().map(|(key, title)| event(key, title)).collect();
        let (is_chosen, events) = (&is_chosen, &events);
        let deleted: Result<(), Error> = self
            .0
            .db
            .write(|tx| async move {
                let delete = Query::delete().from_table(Alias::new(&model.table)).and_where(is_chosen.clone()).take();
                tx.execute(&delete).await?;
                record_all(&tx, events, now).await?;
                Ok(())
            })
            .await;
        deleted?;
        Ok(Deletion::Done)
    }
}

/// A text with single spaces: pages show no others, so nobody can type them.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A row for the service that changes it.
fn stored_row(model: &Model, key: &Key, texts: Vec<Option<String>>) -> StoredRow {
    let names = model.columns.iter().map(|column| column.name.clone());
    let values = names.zip(texts).filter_map(|(name, text)| Some((name, text?)));
    StoredRow { key: key.clone(), values: values.collect() }
}

/// An error of a rule. What the service does not show or allow to the caller exists in the panel, so it is a conflict
/// there.
fn by_rule(error: kernel::Error) -> Error {
    match error.kind() {
        kernel::Kind::NotFound | kernel::Kind::Forbidden => {
            let (code, detail) = (error.code().to_owned(), error.detail().to_owned());
            Error::Kernel(kernel::Error::new(kernel::Kind::Conflict, code, detail))
        }
        _ => Error::Kernel(error),
    }
}

/// Records up to as many events as rows can be deleted at once.
async fn record_all(tx: &Tx, events: &[AuditEvent], now: kernel::Timestamp) -> Result<(), DbErr> {
    for event in events {
        event.clone().record(tx, now).await?;
    }
    Ok(())
}

impl SqlPanel {
    /// The version of a row, which changes when one of the columns does that can be changed. Others may be counters,
    /// whose changes are no reason to refuse a form.
    pub(super) fn version(&self, model: &Model, texts: &[Option<String>]) -> String {
        let editable = self.editable(model);
        let mut hasher = DefaultHasher::new();
        for (column, text) in model.columns.iter().zip(texts) {
            if editable.contains(&column.name.as_str()) {
                text.hash(&mut hasher);
            }
        }
        format!("{:016x}", hasher.finish())
    }

    /// Changes a row that no rule depends on.
    async fn store(&self, caller: &Caller, model: &Model, key: &Key, changes: &[Change<'_>]) -> Result<()> {
        let Some(is_row) = key_condition(model, key) else { return Err(Error::NotFound) };
        let mut update = Query::update();
        update.table(Alias::new(&model.table)).and_where(is_row);
        for Change { column, before, after } in changes {
            // Only what was read is changed: a concurrent change is not reverted.
            update.and_where(match before {
                Some(text) => col(&column.name).eq(Expr::val(value(column, text)?)),
                None => col(&column.name).is_null(),
            });
            let after = match after {
                Some(text) => value(column, text)?,
                None => null(column),
            };
            update.value(Alias::new(&column.name), Expr::val(after));
        }
        let (update, event, now) = (&update, &change_event(caller, model, key, changes), self.0.clock.now());
        let stored: Result<u64, Error> = self
            .0
            .db
            .write(|tx| async move {
                let changed = tx.execute(update).await?.rows_affected();
                if changed > 0 {
                    event.clone().record(&tx, now).await?;
                }
                Ok(changed)
            })
            .await;
        match stored {
            Ok(0) => Err(Error::Stale),
            Ok(_) => Ok(()),
            Err(Error::Database(error)) => Err(refused(error, changes)),
            Err(error) => Err(error),
        }
    }
}

/// The error of a value that a constraint refused, at the columns that it names.
fn refused(error: DbErr, changes: &[Change<'_>]) -> Error {
    let Some(message) = violated_constraint(&error) else { return error.into() };
    let named = changes.iter().find(|change| message.contains(&change.column.name));
    let column = named.or(changes.first()).map_or("", |change| change.column.name.as_str());
    Error::field(column, "The database does not allow this value.")
}

/// The value of a text, of the type of its column.
fn member(column: &Column, text: &str) -> Result<Value> {
    Ok(match column.kind {
        Kind::Number | Kind::Moment | Kind::Reference => {
            let number: Result<i64, _> = text.trim().parse();
            number.map(Value::from).map_err(|_| Error::field(&column.name, "A valid number is required."))?
        }
        Kind::Flag => Value::from(text == "true"),
        Kind::Text | Kind::Bytes => Value::from(text),
    })
}

/// The changes as members of an object.
fn members(changes: &[Change<'_>]) -> Result<Map<String, Value>> {
    let changed = changes.iter().map(|change| {
        let after = change.after.as_ref().map(|text| member(change.column, text)).transpose()?;
        Ok((change.column.name.clone(), after.unwrap_or_default()))
    });
    changed.collect()
}

fn is_new(columns: &[NewColumn], name: &str) -> bool {
    columns.iter().any(|column| column.name == name)
}

fn change_event(caller: &Caller, model: &Model, key: &Key, changes: &[Change<'_>]) -> AuditEvent {
    let short = |text: &Option<String>| {
        text.as_ref().map_or(Value::Null, |text| text.chars().take(MAX_LOGGED).collect::<String>().into())
    };
    let changed = changes.iter().map(|change| {
        let pair = Value::Array(vec![short(&change.before), short(&change.after)]);
        (change.column.name.clone(), pair)
    });
    let changed: Map<String, Value> = changed.collect();
    let event = AuditEvent::new("admin.change").by(caller).of(SCOPE, object(model, key));
    event.with("table", model.table.as_str()).with("changed", changed)
}
