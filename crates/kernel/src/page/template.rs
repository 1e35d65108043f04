use std::marker::PhantomData;

use sea_orm::{
    ConnectionTrait, DbBackend, EntityTrait, PartialModelTrait, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, Query, SelectStatement},
};

use super::{
    Ordering, Page, PageQuery,
    count::{Count, count_statement, counted_rows},
    listed_rows,
};
use crate::{
    Result,
    db::{Conn, Texts},
};

/// A query for the stored number of rows of a list; `None` if it is not stored.
type StoredCount<K> = fn(&K, &[i64]) -> Option<SelectStatement>;

/// The statements of a list, whose texts are built once for each key; see [`QueryTemplate`](crate::db::QueryTemplate).
pub struct PageTemplate<K, T, E: EntityTrait> {
    ordering: Ordering<'static, E::Column>,
    select: fn(&K, &[i64]) -> Select<E>,
    more: fn(Select<E>, &K, &[i64]) -> Select<E>,
    stored_count: StoredCount<K>,
    /// Whether the number is stored on SQLite only.
    is_stored_on_sqlite: bool,
    /// By key, whether the count is exact, whether it is kept, and ordering.
    rows: Texts<(K, bool, bool, String)>,
    /// By key, and whether the count is exact.
    counts: Texts<(K, bool)>,
    stored_counts: Texts<K>,
    row: PhantomData<fn() -> T>,
}

impl<K: Clone + Ord, T, E: EntityTrait> PageTemplate<K, T, E> {
    /// A list of what `select` selects for a key and ids.
    pub const fn new(ordering: Ordering<'static, E::Column>, select: fn(&K, &[i64]) -> Select<E>) -> Self {
        let more: fn(Select<E>, &K, &[i64]) -> Select<E> = |rows, _, _| rows;
        let stored_count: StoredCount<K> = |_, _| None;
        Self {
            ordering,
            select,
            more,
            stored_count,
            is_stored_on_sqlite: false,
            rows: Texts::new(),
            counts: Texts::binding_some(),
            stored_counts: Texts::binding_some(),
            row: PhantomData,
        }
    }

    /// Adds to the columns of `T` those that depend on the caller.
    #[must_use]
    pub const fn with(mut self, more: fn(Select<E>, &K, &[i64]) -> Select<E>) -> Self {
        self.more = more;
        self
    }

    /// Reads the number of rows from where the operations or triggers that change it store it, unless it is kept.
    #[must_use]
    pub const fn with_stored_count(mut self, stored_count: fn(&K, &[i64]) -> Option<SelectStatement>) -> Self {
        self.stored_count = stored_count;
        self
    }

    /// Like [`with_stored_count`](Self::with_stored_count), on SQLite. On PostgreSQL a counter would make the
    /// transactions that change it wait for each other.
    #[must_use]
    pub const fn with_stored_count_on_sqlite(
        mut self,
        stored_count: fn(&K, &[i64]) -> Option<SelectStatement>,
    ) -> Self {
        self.stored_count = stored_count;
        self.is_stored_on_sqlite = true;
        self
    }

    fn stored_count(&self, key: &K, ids: &[i64], backend: DbBackend) -> Option<SelectStatement> {
        let is_stored = !self.is_stored_on_sqlite || backend == DbBackend::Sqlite;
        if is_stored { (self.stored_count)(key, ids) } else { None }
    }
}

impl<T: PartialModelTrait> Page<T> {
    /// Like [`fetch`](Self::fetch), with statements that are built once.
    pub async fn fetch_template<K: Clone + Ord, E: EntityTrait>(
        template: &PageTemplate<K, T, E>,
        (key, ids): (&K, &[i64]),
        query: &PageQuery,
        conn: &Conn,
    ) -> Result<Self> {
        let PageTemplate { ordering, select, more, rows, counts, stored_counts, .. } = template;
        if query.cursor.is_some() {
            return Self::fetch_with(select(key, ids), |rows| more(rows, key, ids), ordering, query, conn).await;
        }
        let backend = conn.get_database_backend();
        let order = query.order(ordering.default);
        let columns = ordering.columns(order)?;
        let count = counts.bind(backend, &(key.clone(), query.exact), ids, |ids| {
            count_statement(counted_rows(&select(key, ids), ordering, query.exact, backend), query.exact)
        })?;
        let kept = conn.keep_count(&count).await?;
        let statement = if template.stored_count(key, ids, backend).is_some() {
            stored_counts.bind(backend, key, ids, |ids| {
                let stored = template.stored_count(key, ids, backend).map(Expr::from);
                Query::select().expr_as(stored.unwrap_or_else(|| Expr::val(0)), "n").take()
            })?
        } else {
            count
        };
        let count = Count { statement, kept };
        let mut numbers = ids.to_vec();
        numbers.extend([query.offset(), query.size].map(|rows| i64::try_from(rows).unwrap_or(i64::MAX)));
        let is_kept = count.kept.is_some();
        let rows = rows.bind(backend, &(key.clone(), query.exact, is_kept, order.to_owned()), &numbers, |numbers| {
            let [ids @ .., offset, size] = numbers else { return SelectStatement::new() };
            let rows = more(T::select_cols(select(key, ids).select_only()), key, ids);
            let rows = listed_rows(rows, &columns, count.kept.as_ref());
            rows.offset(offset.unsigned_abs()).limit(size.unsigned_abs()).into_query()
        })?;
        Self::read(rows, count, (order, columns.len()), query, conn).await
    }
}
