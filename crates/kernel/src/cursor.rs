use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sea_orm::{
    ColumnTrait, ColumnType, Condition, DbErr, EntityTrait, FromQueryResult, Order, QueryFilter, QueryResult,
    QuerySelect, Select, Value,
};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A place in a sorted list: what the row there is sorted by. Handed out as an opaque text, so that a
/// list can be read on beyond where its pages end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// The order that it is a place in, as `?ordering=` says it.
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

    /// Reads a cursor; one that was not handed out for this order is refused.
    pub(crate) fn decode(text: &str, order: &str) -> Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let cursor = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let sound = |cursor: &Self| {
            let storable = |key: &Key| !matches!(key, Key::Text(text) if text.contains('\0'));
            cursor.order == order && cursor.keys.iter().all(storable)
        };
        cursor.filter(sound).ok_or_else(|| Error::field("cursor", "Not a cursor of this list in this order."))
    }

    /// Only what comes after this place, in the order of these columns.
    pub(crate) fn after<E: EntityTrait>(self, select: Select<E>, columns: &[(E::Column, Order)]) -> Result<Select<E>> {
        let fits = |((column, _), key): (&(E::Column, Order), &Key)| {
            let number = matches!(column.def().get_column_type(), ColumnType::BigInteger | ColumnType::Integer);
            number == matches!(key, Key::Number(_))
        };
        if self.keys.len() != columns.len() || !columns.iter().zip(&self.keys).all(fits) {
            return Err(Error::field("cursor", "Not a cursor of this list."));
        }
        let keys: Vec<Value> = self.keys.into_iter().map(Value::from).collect();
        // (a, b) comes after (x, y): a > x, or a = x and b > y.
        let mut after = Condition::any();
        for (at, (column, order)) in columns.iter().enumerate() {
            let beyond = match order {
                Order::Desc => column.lt(keys[at].clone()),
                _ => column.gt(keys[at].clone()),
            };
            let same = columns.iter().zip(&keys).take(at).map(|((column, _), key)| column.eq(key.clone()));
            after = after.add(same.fold(Condition::all(), Condition::add).add(beyond));
        }
        // Says nothing more, but an index can begin here.
        let bound = columns.first().zip(keys.first()).map(|((column, order), key)| match order {
            Order::Desc => column.lte(key.clone()),
            _ => column.gte(key.clone()),
        });
        Ok(select.filter(Condition::all().add_option(bound).add(after)))
    }
}

/// A row together with what it is sorted by.
pub(crate) struct Placed<T> {
    pub(crate) item: T,
    keys: Vec<Key>,
}

const NAME: &str = "sorted_by_";

impl<T> Placed<T> {
    /// Has the query tell what its rows are sorted by.
    pub(crate) fn ask<E: EntityTrait>(select: Select<E>, columns: &[(E::Column, Order)]) -> Select<E> {
        let names = columns.iter().enumerate();
        names.fold(select, |select, (at, (column, _))| select.column_as(*column, format!("{NAME}{at}")))
    }

    /// The place of this row.
    pub(crate) fn cursor(&self, order: &str) -> Cursor {
        Cursor { order: order.to_owned(), keys: self.keys.clone() }
    }
}

impl<T: FromQueryResult> FromQueryResult for Placed<T> {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let key = |at: usize| {
            let name = format!("{NAME}{at}");
            let number = row.try_get::<i64>(prefix, &name).map(Key::Number);
            number.or_else(|_| row.try_get(prefix, &name).map(Key::Text)).ok()
        };
        Ok(Self { item: T::from_query_result(row, prefix)?, keys: (0..).map_while(key).collect() })
    }
}
