//! Statements whose text is built once.
//!
//! To build the text of a statement takes longer than to execute it, if it reads a row by its id.

use std::{
    any::TypeId,
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, Insert,
    IntoActiveModel, Iterable, QueryResult, QueryTrait, Statement, Value, sea_query::SelectStatement,
};

/// The number of texts that are kept for one template. A key that is not among them is built each time.
const MAX_TEXTS: usize = 256;

/// A query whose text is built once for each key and number of ids.
///
/// The text can depend on nothing but the key: the function that builds it captures nothing, and instead of the ids it
/// gets placeholders, which are replaced by the ids among the values of the statement. So a key cannot be incomplete,
/// and nobody gets the query of somebody with other permissions. The function must use an id only as a value.
pub struct QueryTemplate<K> {
    build: fn(&K, &[i64]) -> SelectStatement,
    texts: Texts<K>,
}

impl<K: Clone + Ord> QueryTemplate<K> {
    /// A template whose texts are built by this function, from a key and the ids.
    pub const fn new(build: fn(&K, &[i64]) -> SelectStatement) -> Self {
        Self { build, texts: Texts::new() }
    }

    /// Runs the query; returns its rows.
    ///
    /// # Errors
    /// Those of the database, and if the query does not bind each id.
    pub async fn rows<T: FromQueryResult>(
        &self,
        conn: &impl ConnectionTrait,
        key: &K,
        ids: &[i64],
    ) -> Result<Vec<T>, DbErr> {
        let found = conn.query_all_raw(self.bind(conn.get_database_backend(), key, ids)?).await?;
        found.iter().map(|row| T::from_query_result(row, "")).collect()
    }

    /// Runs the query; returns its first row.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub async fn row<T: FromQueryResult>(
        &self,
        conn: &impl ConnectionTrait,
        key: &K,
        ids: &[i64],
    ) -> Result<Option<T>, DbErr> {
        self.raw_row(conn, key, ids).await?.map(|row| T::from_query_result(&row, "")).transpose()
    }

    /// Runs the query; returns its first row without decoding it.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub async fn raw_row(
        &self,
        conn: &impl ConnectionTrait,
        key: &K,
        ids: &[i64],
    ) -> Result<Option<QueryResult>, DbErr> {
        conn.query_one_raw(self.bind(conn.get_database_backend(), key, ids)?).await
    }

    fn bind(&self, backend: DbBackend, key: &K, ids: &[i64]) -> Result<Statement, DbErr> {
        self.texts.bind(backend, key, ids, |ids| (self.build)(key, ids))
    }
}

/// The texts of a query by database, number of ids and key.
pub(crate) struct Texts<K> {
    kept: RwLock<BTreeMap<(bool, usize, K), Arc<Text>>>,
    /// Whether it is an error if a query does not bind an id.
    binds_all: bool,
}

/// The text of a statement, and its values in their order.
struct Text {
    sql: String,
    values: Vec<Bound>,
}

enum Bound {
    /// The id with this index.
    Id(usize),
    /// The id with this index, as a number of rows.
    Rows(usize),
    Constant(Value),
}

/// A number that no statement contains as a constant.
fn placeholder(index: usize) -> i64 {
    const FIRST: i64 = 0x7eed_1d5e_0000_0000;
    i64::try_from(index).unwrap_or_default().saturating_add(FIRST)
}

impl<K: Clone + Ord> Texts<K> {
    pub(crate) const fn new() -> Self {
        Self { kept: RwLock::new(BTreeMap::new()), binds_all: true }
    }

    /// For queries that need not bind all of the ids.
    pub(crate) const fn binding_some() -> Self {
        Self { kept: RwLock::new(BTreeMap::new()), binds_all: false }
    }

    /// The statement that `build` builds with these ids; it must depend on nothing but the key and the database.
    pub(crate) fn bind(
        &self,
        backend: DbBackend,
        key: &K,
        ids: &[i64],
        build: impl Fn(&[i64]) -> SelectStatement,
    ) -> Result<Statement, DbErr> {
        let place = (backend == DbBackend::Postgres, ids.len(), key.clone());
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
        let text = if let Some(text) = kept {
            text
        } else {
            let placeholders: Vec<i64> = (0..ids.len()).map(placeholder).collect();
            let text = Text::new(backend.build(&build(&placeholders)), &placeholders);
            if self.binds_all {
                text.check_binds_all(ids.len())?;
            }
            let text = Arc::new(text);
            let mut texts = self.kept.write().unwrap_or_else(PoisonError::into_inner);
            if texts.len() < MAX_TEXTS {
                texts.insert(place, text.clone());
            }
            text
        };
        let statement = text.bind(backend, ids);
        debug_assert_eq!(statement, backend.build(&build(ids)), "a query depends on more than its key");
        Ok(statement)
    }
}

impl Text {
    fn new(statement: Statement, placeholders: &[i64]) -> Self {
        let Statement { sql, values, .. } = statement;
        let index_of = |number: i64| placeholders.iter().position(|id| *id == number);
        let bound = |value: Value| match value {
            Value::BigInt(Some(number)) => index_of(number).map_or(Bound::Constant(value), Bound::Id),
            Value::BigUnsigned(Some(number)) => {
                let index = i64::try_from(number).ok().and_then(index_of);
                index.map_or(Bound::Constant(value), Bound::Rows)
            }
            value => Bound::Constant(value),
        };
        let values: Vec<Bound> = values.map(|values| values.0).unwrap_or_default().into_iter().map(bound).collect();
        Self { sql, values }
    }

    fn check_binds_all(&self, ids: usize) -> Result<(), DbErr> {
        let is_bound = |index: usize| {
            self.values.iter().any(|value| matches!(value, Bound::Id(id) | Bound::Rows(id) if *id == index))
        };
        match (0..ids).find(|index| !is_bound(*index)) {
            Some(index) => Err(DbErr::Custom(format!("a query does not bind its id {index}: {}", self.sql))),
            None => Ok(()),
        }
    }

    fn bind(&self, backend: DbBackend, ids: &[i64]) -> Statement {
        let id = |index: &usize| ids.get(*index).copied();
        let value = |bound: &Bound| match bound {
            Bound::Id(index) => Value::BigInt(id(index)),
            Bound::Rows(index) => Value::BigUnsigned(id(index).and_then(|rows| u64::try_from(rows).ok())),
            Bound::Constant(value) => value.clone(),
        };
        Statement::from_sql_and_values(backend, &self.sql, self.values.iter().map(value))
    }
}

/// Longer lists of ids are not padded: databases limit the number of values of a statement.
const MAX_PADDED: usize = 1024;

/// Repeats the last id until their number is a power of two, so that lists of ids have few different texts.
pub fn pad_ids(ids: impl IntoIterator<Item = i64>) -> Vec<i64> {
    let mut ids: Vec<i64> = ids.into_iter().collect();
    if ids.len() <= MAX_PADDED
        && let Some(last) = ids.last().copied()
    {
        ids.resize(ids.len().next_power_of_two(), last);
    }
    ids
}

/// An entity, its columns that are set, as bits, whether the row is returned, and the database.
type InsertKey = (TypeId, u128, bool, bool);

/// The texts of inserts; their number is limited by that of the statements in the program.
static INSERTS: RwLock<BTreeMap<InsertKey, Arc<str>>> = RwLock::new(BTreeMap::new());

/// Inserts a row and returns it as it was stored. The text of the statement depends on the entity and on which columns
/// are set, and is built once for these.
pub async fn insert<A>(conn: &impl ConnectionTrait, row: A) -> Result<<A::Entity as EntityTrait>::Model, DbErr>
where
    A: ActiveModelTrait,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
{
    let statement = insert_statement(conn.get_database_backend(), row, true)?;
    let stored = conn.query_one_raw(statement).await?.ok_or(DbErr::RecordNotInserted)?;
    <A::Entity as EntityTrait>::Model::from_query_result(&stored, "")
}

/// Like [`insert`], without returning the row.
pub async fn insert_only<A: ActiveModelTrait>(conn: &impl ConnectionTrait, row: A) -> Result<(), DbErr> {
    let statement = insert_statement(conn.get_database_backend(), row, false)?;
    conn.execute_raw(statement).await.map(|_| ())
}

fn insert_statement<A: ActiveModelTrait>(backend: DbBackend, row: A, returning: bool) -> Result<Statement, DbErr> {
    let (mut set, mut values) = (0_u128, Vec::new());
    for (index, column) in <A::Entity as EntityTrait>::Column::iter().enumerate() {
        if let ActiveValue::Set(value) | ActiveValue::Unchanged(value) = row.get(column) {
            let bit = u32::try_from(index).ok().and_then(|index| 1_u128.checked_shl(index));
            set |= bit.ok_or_else(|| DbErr::Custom("a table has more than 128 columns".to_owned()))?;
            values.push(value);
        }
    }
    let key = (TypeId::of::<A::Entity>(), set, returning, backend == DbBackend::Postgres);
    let kept = INSERTS.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    if let Some(sql) = kept {
        return Ok(Statement::from_sql_and_values(backend, &*sql, values));
    }
    let mut insert = Insert::one(row).into_query();
    if returning {
        insert.returning_all();
    }
    let statement = backend.build(&insert);
    if statement.values.as_ref().is_some_and(|bound| bound.0 == values) {
        let sql = statement.sql.as_str().into();
        INSERTS.write().unwrap_or_else(PoisonError::into_inner).insert(key, sql);
    }
    Ok(statement)
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};

    use super::*;

    fn things(key: &bool, ids: &[i64]) -> SelectStatement {
        let mut query = Query::select();
        query.column(Alias::new("name")).from(Alias::new("thing"));
        query
            .and_where(Expr::col(Alias::new("is_public")).eq(*key))
            .and_where(Expr::col(Alias::new("id")).is_in(ids.to_vec()));
        query.and_where(Expr::col(Alias::new("size")).eq(5_i64));
        query.limit(ids.first().copied().map_or(1, i64::unsigned_abs)).take()
    }

    #[test]
    fn ids_are_bound_in_their_places() {
        let template = QueryTemplate::new(things);
        for backend in [DbBackend::Sqlite, DbBackend::Postgres] {
            for key in [true, false] {
                for ids in [&[7][..], &[9], &[1, 2, 3], &[3, 2, 1]] {
                    let bound = template.bind(backend, &key, ids).unwrap();
                    assert_eq!(bound, backend.build(&things(&key, ids)));
                }
            }
        }
        assert_eq!(template.texts.kept.read().unwrap().len(), 8);
    }

    #[test]
    fn an_id_that_is_not_bound_is_an_error() {
        let template = QueryTemplate::new(|(): &(), ids| things(&true, ids.get(..1).unwrap_or_default()));
        assert!(template.bind(DbBackend::Sqlite, &(), &[1, 2]).is_err());
    }

    #[test]
    fn the_number_of_kept_texts_is_limited() {
        fn sized(_: &usize, ids: &[i64]) -> SelectStatement {
            things(&true, ids)
        }
        let template = QueryTemplate::new(sized);
        for key in 0..MAX_TEXTS + 5 {
            template.bind(DbBackend::Sqlite, &key, &[1]).unwrap();
        }
        assert_eq!(template.texts.kept.read().unwrap().len(), MAX_TEXTS);
    }

    #[test]
    fn ids_are_padded_to_a_power_of_two() {
        assert_eq!(pad_ids([]), [0_i64; 0]);
        assert_eq!(pad_ids([5]), [5]);
        assert_eq!(pad_ids([5, 6, 7]), [5, 6, 7, 7]);
    }
}
