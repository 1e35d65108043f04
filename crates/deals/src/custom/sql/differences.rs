//! Differences between stored values, for the audit log and for events.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::{Map, Value};

use super::{definitions::MAX_FIELDS, values::parse_json};
use crate::{CustomFieldId, OrganizationId, Result, entity::custom_field};

/// The keys of an organization's fields, by their ids as text, as in stored values.
pub(crate) async fn keys_of(conn: &impl ConnectionTrait, org: OrganizationId) -> Result<HashMap<String, String>> {
    let found = custom_field::Entity::find()
        .select_only()
        .column(custom_field::Column::Id)
        .column(custom_field::Column::Key)
        .filter(custom_field::COLUMN.org_id.eq(org))
        .limit(2 * MAX_FIELDS);
    let keys = found.into_tuple::<(CustomFieldId, String)>().all(conn).await?;
    Ok(keys.into_iter().map(|(id, key)| (id.to_string(), key)).collect())
}

/// The differences between two stored values `[before, after]`, by field. A deleted field is named by its id.
pub(crate) fn difference(change: &Value, keys: &HashMap<String, String>) -> Vec<(String, (Value, Value))> {
    let [before, after] = [0, 1].map(|index| parse_json(change[index].as_str().unwrap_or_default()));
    let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let value = |row: &Map<String, Value>, id: &String| row.get(id).cloned().unwrap_or_default();
    let field =
        |id: &String| (format!("custom.{}", keys.get(id).unwrap_or(id)), (value(&before, id), value(&after, id)));
    ids.into_iter().map(field).filter(|(_, (before, after))| before != after).collect()
}
