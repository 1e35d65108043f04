//! The number of rows of a list.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, Order, QueryResult, QuerySelect, Select, Statement,
    sea_query::{Alias, Asterisk, Expr, Func, Query, SelectStatement},
};

use super::{MAX_ROWS, Ordering};
use crate::{
    Result,
    db::{Conn, KeptCount},
};

/// A query with as many rows as the list.
pub(super) fn counted_rows<E: EntityTrait>(
    select: &Select<E>,
    ordering: &Ordering<'_, E::Column>,
    exact: bool,
    backend: DbBackend,
) -> SelectStatement {
    let mut counted = sea_orm::QueryTrait::into_query(select.clone().select_only().expr(Expr::val(1)));
    counted.clear_order_by();
    if backend == DbBackend::Postgres && !exact {
        // In index order, like the page. Otherwise PostgreSQL may choose a sequential scan because it
        // overestimates the matches, and then read the whole table to find a few rows.
        counted.order_by(ordering.id.as_column_ref(), Order::Asc);
    }
    counted
}

/// The alias of the version of the listed tables.
pub(super) const VERSION: &str = "counted_at";

/// How the rows of a list are counted.
pub(super) struct Count {
    /// Reads the number of rows, as `n`.
    pub(super) statement: Statement,
    /// Where the number is kept, if it can be.
    pub(super) kept: Option<KeptCount>,
}

pub(super) fn count_statement(mut rows: SelectStatement, exact: bool) -> SelectStatement {
    if !exact {
        rows.limit(MAX_ROWS + 1);
    }
    Query::select()
        .expr_as(Func::count(Expr::col(Asterisk)), Alias::new("n"))
        .from_subquery(rows, Alias::new("listed"))
        .take()
}

impl Count {
    /// The number of rows; `first` is the first row of the page.
    pub(super) async fn read(self, first: Option<&QueryResult>, conn: &Conn) -> Result<u64> {
        let Self { statement, kept } = self;
        let kept = match (kept, first) {
            (Some(kept), Some(row)) => Some((kept, row.try_get::<i64>("", VERSION)?)),
            _ => None,
        };
        if let Some((kept, version)) = &kept
            && let Some(total) = conn.kept_counts().get(kept, *version)
        {
            return Ok(u64::try_from(total).unwrap_or_default());
        }
        let row = conn.query_one_raw(statement).await?;
        let total: Option<i64> = row.map(|row| row.try_get("", "n")).transpose()?.flatten();
        let total = total.unwrap_or_default();
        if let Some((kept, version)) = kept {
            conn.kept_counts().insert(kept, version, total);
        }
        Ok(u64::try_from(total).unwrap_or_default())
    }
}

/// The number of rows, counted up to 10,000.
pub async fn count_up_to<E: EntityTrait>(select: Select<E>, conn: &impl ConnectionTrait) -> Result<u64> {
    let mut rows = sea_orm::QueryTrait::into_query(select.select_only().expr(Expr::val(1)));
    rows.clear_order_by();
    let row = conn.query_one(&count_statement(rows, false)).await?;
    let total: i64 = row.map(|row| row.try_get("", "n")).transpose()?.unwrap_or_default();
    Ok(u64::try_from(total).unwrap_or_default().min(MAX_ROWS))
}
