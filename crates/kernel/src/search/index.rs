//! The full-text index of a table.

use sea_orm::{
    DbBackend, EntityTrait, QueryTrait, Select,
    sea_query::{
        Expr, ExprTrait, Func, Order, Query,
        extension::{postgres::PgExpr, sqlite::SqliteExpr},
    },
};

use super::{Match, SearchQuery};

/// The full-text index of a table with the columns `id` and `search_text`. Migrations create it:
///
/// - on SQLite, a table of FTS5 over the column (`content`, `content_rowid='id'`, `detail='none'`, `prefix='2 3'`,
///   `tokenize='ascii'`), kept up to date by triggers;
/// - on PostgreSQL, the generated column `words` with `to_tsvector('simple', search_text)`, and a GIN index.
///
/// It only narrows a query, which therefore has to be limited to what the caller may see.
#[derive(Clone, Copy, Debug)]
pub struct TextIndex {
    table: &'static str,
    fts5_table: &'static str,
}

impl TextIndex {
    /// The index of `table`. `fts5_table` is the table of the index on SQLite.
    pub const fn new(table: &'static str, fts5_table: &'static str) -> Self {
        Self { table, fts5_table }
    }

    /// The rows that match, newest first.
    pub fn newest<E: EntityTrait>(
        self,
        backend: DbBackend,
        mut rows: Select<E>,
        query: &SearchQuery,
        matching: Match,
    ) -> Select<E> {
        let condition = self.condition(backend, self.table, query, matching);
        let select = QueryTrait::query(&mut rows).and_where(condition);
        match backend {
            // Ordered by the rowid of the index, so that the newest matches are found without sorting all of them.
            DbBackend::Sqlite => select
                .inner_join(self.fts5_table, Expr::col((self.fts5_table, "rowid")).equals((self.table, "id")))
                .order_by((self.fts5_table, "rowid"), Order::Desc),
            _ => select.order_by((self.table, "id"), Order::Desc),
        };
        rows
    }

    /// The rows that match, in any order. The index is read first.
    pub fn matching<E: EntityTrait>(
        self,
        backend: DbBackend,
        mut rows: Select<E>,
        query: &SearchQuery,
        matching: Match,
    ) -> Select<E> {
        let mut ids = Query::select();
        match backend {
            DbBackend::Sqlite => ids.column("rowid").from(self.fts5_table),
            // `OFFSET 0` keeps the planner from scanning all rows in order until enough match.
            _ => ids.column(("indexed", "id")).from_as(self.table, "indexed").offset(0),
        };
        ids.and_where(self.condition(backend, "indexed", query, matching));
        QueryTrait::query(&mut rows).and_where(Expr::col((self.table, "id")).in_subquery(ids));
        rows
    }

    fn condition(self, backend: DbBackend, table: &'static str, query: &SearchQuery, matching: Match) -> Expr {
        let expression = query.expression(backend, matching);
        if backend == DbBackend::Sqlite {
            return SqliteExpr::matches(Expr::col(self.fts5_table), expression);
        }
        // A literal that the query builder quotes, and not a bound value, so that the planner knows how rare the terms
        // are.
        let terms = [Expr::Constant("simple".into()), Expr::Constant(expression.into())];
        PgExpr::matches(Expr::col((table, "words")), Func::cust("to_tsquery").args(terms))
    }
}
