use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sea_orm::{
    ColumnTrait, ColumnType, Condition, DbErr, EntityTrait, Order, QueryFilter, QueryResult, QuerySelect, Select, Value,
};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A position in a sorted list: the sort keys of a row. Clients get it as an opaque string to read on beyond
/// the last page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// The ordering that it belongs to, in the syntax of `?ordering=`.
    order: String,
    keys: Vec<Key>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Key {
    Number(i64),
    Text(String),
}

impl From<Key> for Value {
    fn from(key: Key) -> Self {
        match key {
            Key::Number(number) => number.into(),
            Key::Text(text) => text.into(),
        }
    }
}

impl Cursor {
    pub(crate) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a cursor; 400 unless it was issued for this ordering.
    pub(crate) fn decode(text: &str, order: &str) -> Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let cursor = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let is_valid = |cursor: &Self| {
            // PostgreSQL refuses a NUL in a text parameter.
            let is_bindable = |key: &Key| !matches!(key, Key::Text(text) if text.contains('\0'));
            cursor.order == order && cursor.keys.iter().all(is_bindable)
        };
        cursor.filter(is_valid).ok_or_else(|| Error::field("cursor", "Not a valid cursor for this list and ordering."))
    }

    /// Only the rows after this position, in the order of these columns.
    pub(crate) fn after<E: EntityTrait>(self, select: Select<E>, columns: &[(E::Column, Order)]) -> Result<Select<E>> {
        let has_column_type = |((column, _), key): (&(E::Column, Order), &Key)| {
            let is_number = matches!(column.def().get_column_type(), ColumnType::BigInteger | ColumnType::Integer);
            is_number == matches!(key, Key::Number(_))
        };
        if self.keys.len() != columns.len() || !columns.iter().zip(&self.keys).all(has_column_type) {
            return Err(Error::field("cursor", "Not a valid cursor for this list."));
        }
        let keys: Vec<Value> = self.keys.into_iter().map(Value::from).collect();
        // (a, b) comes after (x, y): a > x, or a = x and b > y.
        let mut after = Condition::any();
        for (index, (column, order)) in columns.iter().enumerate() {
            let beyond = match order {
                Order::Desc => column.lt(keys[index].clone()),
                _ => column.gt(keys[index].clone()),
            };
            let equal = columns.iter().zip(&keys).take(index).map(|((column, _), key)| column.eq(key.clone()));
            after = after.add(equal.fold(Condition::all(), Condition::add).add(beyond));
        }
        // Redundant, but an index range scan can start here.
        let bound = columns.first().zip(keys.first()).map(|((column, order), key)| match order {
            Order::Desc => column.lte(key.clone()),
            _ => column.gte(key.clone()),
        });
        Ok(select.filter(Condition::all().add_option(bound).add(after)))
    }
}

/// Prefix of the column aliases of the sort keys.
const KEY_ALIAS: &str = "sorted_by_";

/// Adds the sort keys to the selected columns.
pub(crate) fn select_keys<E: EntityTrait>(select: Select<E>, columns: &[(E::Column, Order)]) -> Select<E> {
    columns
        .iter()
        .enumerate()
        .fold(select, |select, (index, (column, _))| select.column_as(*column, format!("{KEY_ALIAS}{index}")))
}

impl Cursor {
    /// The position of a row with this many sort keys.
    pub(crate) fn of(row: &QueryResult, order: &str, keys: usize) -> Result<Self, DbErr> {
        let key = |index: usize| {
            let alias = format!("{KEY_ALIAS}{index}");
            let number = row.try_get::<i64>("", &alias).map(Key::Number);
            number.or_else(|_| row.try_get("", &alias).map(Key::Text))
        };
        Ok(Self { order: order.to_owned(), keys: (0..keys).map(key).collect::<Result<_, _>>()? })
    }
}
