//! The history of rows, from the audit log.

use guildhall_kernel::{UserId, admin::Model, audit};
use serde_json::Value;

use super::{SqlPanel, writes::object};
use crate::{History, Key, Result};

/// How many entries a history shows.
const ENTRIES: u64 = 20;

impl SqlPanel {
    /// What the audit log says about a row: changes of the panel, and entries of its own crate, which calls the object
    /// `deals/deal/17`.
    pub(super) async fn history_of(&self, model: &Model, key: &Key) -> Result<Vec<History>> {
        let conn = self.0.db.conn();
        let own = model.table.split_once('_').map(|(area, name)| format!("{area}/{name}/{key}"));
        let objects: Vec<String> = std::iter::once(object(model, key)).chain(own).collect();
        let user = key.id().filter(|_| model.table == "users").map(UserId);
        let entries = audit::latest(conn, &objects, user, ENTRIES).await?;
        Ok(entries.into_iter().map(shown).collect())
    }
}

/// An entry as the pages show it.
pub(super) fn shown(entry: audit::Entry) -> History {
    let text = |value: Option<&Value>| match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    let changed = entry.detail.get("changed").and_then(Value::as_object);
    let changes = changed.into_iter().flatten().map(|(name, pair)| match pair {
        Value::Array(pair) => (name.clone(), text(pair.first()), text(pair.get(1))),
        Value::Object(pair) => {
            (name.clone(), text(pair.get("before").or(pair.get("old"))), text(pair.get("after").or(pair.get("new"))))
        }
        value => (name.clone(), String::new(), text(Some(value))),
    });
    History { id: entry.id, at: entry.at, actor: entry.actor, changes: changes.collect(), action: entry.action }
}
