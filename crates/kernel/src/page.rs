use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, Order, PartialModelTrait, QueryOrder, QueryResult,
    QuerySelect, Select, Statement,
    sea_query::{Alias, Asterisk, Expr, Func, Query, SelectStatement},
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    Error, Kind, PublicUrl, Result,
    cursor::{Cursor, select_keys},
    db::{Conn, KeptCount},
    links::Links,
};

const DEFAULT_SIZE: u64 = 20;
const MAX_SIZE: u64 = 100;
/// The limit of page offsets and of counts: the database reads every row up to there for both.
const MAX_ROWS: u64 = 10_000;

/// One page of a list with a count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page<T> {
    /// Number of results on all pages; exact up to 10,000.
    pub count: u64,
    /// Whether there are more results than `count`; `?count=exact` counts all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub count_capped: bool,
    /// Absolute URL of the next page.
    pub next: Option<String>,
    /// Absolute URL of the previous page.
    pub previous: Option<String>,
    /// The results on this page.
    pub results: Vec<T>,
}

impl<T> Page<T> {
    /// Splits the page into its results and an empty page, to be filled by [`with_results`](Self::with_results).
    pub fn split(mut self) -> (Vec<T>, Self) {
        (std::mem::take(&mut self.results), self)
    }

    /// The same page with converted results.
    pub fn with_results<U>(self, convert: impl FnOnce(Vec<T>) -> Vec<U>) -> Page<U> {
        Page {
            count: self.count,
            count_capped: self.count_capped,
            next: self.next,
            previous: self.previous,
            results: convert(self.results),
        }
    }
}

impl<T: PartialModelTrait> Page<T> {
    /// Reads one page of a list in one statement, and counts in a second one if the page does not reach the
    /// end. 404 for a page past the end, 400 for an invalid ordering or cursor.
    pub async fn fetch<E: EntityTrait>(
        select: Select<E>,
        ordering: &Ordering<'_, E::Column>,
        query: &PageQuery,
        conn: &Conn,
    ) -> Result<Self> {
        Self::fetch_with(select, |rows| rows, ordering, query, conn).await
    }

    /// Like [`fetch`](Self::fetch), with columns that depend on the caller: `more` adds them to the columns of `T`.
    pub async fn fetch_with<E: EntityTrait>(
        select: Select<E>,
        more: impl FnOnce(Select<E>) -> Select<E>,
        ordering: &Ordering<'_, E::Column>,
        query: &PageQuery,
        conn: &Conn,
    ) -> Result<Self> {
        let mut counted = sea_orm::QueryTrait::into_query(select.clone().select_only().expr(Expr::val(1)));
        counted.clear_order_by();
        if conn.get_database_backend() == DbBackend::Postgres && !query.exact {
            // In index order, like the page. Otherwise PostgreSQL may choose a sequential scan because it
            // overestimates the matches, and then read the whole table to find a few rows.
            counted.order_by(ordering.id.as_column_ref(), Order::Asc);
        }
        Self::fetch_counting(select, counted, more, ordering, query, conn).await
    }

    /// Like [`fetch_with`](Self::fetch_with), with a cheaper query for the count: `counted` has as many rows as the
    /// whole list, at least up to the last page.
    pub async fn fetch_counting<E: EntityTrait>(
        select: Select<E>,
        counted: SelectStatement,
        more: impl FnOnce(Select<E>) -> Select<E>,
        ordering: &Ordering<'_, E::Column>,
        query: &PageQuery,
        conn: &Conn,
    ) -> Result<Self> {
        let order = query.ordering.as_deref().filter(|order| !order.is_empty()).unwrap_or(ordering.default);
        let columns = ordering.columns(order)?;
        let offset = (query.page - 1) * query.size;
        let mut rows = more(T::select_cols(select.select_only()));
        rows = select_keys(rows, &columns);
        for (column, direction) in &columns {
            rows = rows.order_by(*column, direction.clone());
        }
        rows = match &query.cursor {
            Some(cursor) => Cursor::decode(cursor, order)?.after(rows, &columns)?.limit(query.size + 1),
            None => rows.offset(offset).limit(query.size),
        };
        let count = conn.get_database_backend().build(&count_statement(counted, query.exact));
        let kept = conn.keep_count(&count).await?;
        if let Some(kept) = &kept {
            rows = rows.expr_as(kept.version(), VERSION);
        }
        let mut found = conn.query_all(&sea_orm::QueryTrait::into_query(rows)).await?;
        let more_after_cursor = query.cursor.is_some() && found.len() as u64 > query.size;
        found.truncate(usize::try_from(query.size).unwrap_or(usize::MAX));
        let shown = found.len() as u64;
        if shown == 0 && query.page > 1 {
            return Err(Error::new(Kind::NotFound, "page_not_found", "Page not found."));
        }
        let is_last_page = query.cursor.is_none() && shown < query.size;
        let total = if is_last_page { offset + shown } else { total(count, kept, found.first(), conn).await? };
        let capped = !query.exact && total > MAX_ROWS;
        let in_pages = query.cursor.is_none() && offset + shown < total;
        let next = if in_pages && offset + shown < MAX_ROWS {
            Some(query.url_of_page(query.page + 1))
        } else if in_pages || more_after_cursor {
            let cursor = found.last().map(|last| Cursor::of(last, order, columns.len())).transpose()?;
            cursor.map(|cursor| query.url_of_cursor(&cursor))
        } else {
            None
        };
        Ok(Self {
            count: if capped { MAX_ROWS } else { total },
            count_capped: capped,
            next,
            previous: (query.page > 1).then(|| query.url_of_page(query.page - 1)),
            results: found.iter().map(|row| T::from_query_result(row, "")).collect::<Result<_, DbErr>>()?,
        })
    }
}

/// The alias of the version of the listed tables.
const VERSION: &str = "counted_at";

fn count_statement(mut rows: SelectStatement, exact: bool) -> SelectStatement {
    if !exact {
        rows.limit(MAX_ROWS + 1);
    }
    Query::select()
        .expr_as(Func::count(Expr::col(Asterisk)), Alias::new("n"))
        .from_subquery(rows, Alias::new("listed"))
        .take()
}

/// The number of rows of a list: the kept count, or else the result of the statement.
async fn total(count: Statement, kept: Option<KeptCount>, first: Option<&QueryResult>, conn: &Conn) -> Result<u64> {
    let kept = match (kept, first) {
        (Some(kept), Some(row)) => Some((kept, row.try_get::<i64>("", VERSION)?)),
        _ => None,
    };
    if let Some((kept, version)) = &kept
        && let Some(total) = conn.kept_counts().get(kept, *version)
    {
        return Ok(u64::try_from(total).unwrap_or_default());
    }
    let row = conn.query_one_raw(count).await?;
    let total: i64 = row.map(|row| row.try_get("", "n")).transpose()?.unwrap_or_default();
    if let Some((kept, version)) = kept {
        conn.kept_counts().insert(kept, version, total);
    }
    Ok(u64::try_from(total).unwrap_or_default())
}

/// The number of rows, counted up to 10,000.
pub async fn count_up_to<E: EntityTrait>(select: Select<E>, conn: &impl ConnectionTrait) -> Result<u64> {
    let mut rows = sea_orm::QueryTrait::into_query(select.select_only().expr(Expr::val(1)));
    rows.clear_order_by();
    let row = conn.query_one(&count_statement(rows, false)).await?;
    let total: i64 = row.map(|row| row.try_get("", "n")).transpose()?.unwrap_or_default();
    Ok(u64::try_from(total).unwrap_or_default().min(MAX_ROWS))
}

/// The requested page of a list: `?page=` or `?cursor=`, `?page_size=`, `?ordering=`, `?count=exact`.
#[derive(Clone, Debug)]
pub struct PageQuery {
    page: u64,
    size: u64,
    exact: bool,
    ordering: Option<String>,
    cursor: Option<String>,
    links: Links,
}

/// The parameters of [`PageQuery`] for the API description.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "used only for the API description")]
pub struct PageParams {
    /// Page number, from 1.
    page: Option<u64>,
    /// Results per page: 20 by default, at most 100.
    page_size: Option<u64>,
    /// Fields to sort by, separated by commas; a `-` prefix sorts in descending order.
    ordering: Option<String>,
    /// `exact` counts beyond 10,000.
    count: Option<String>,
    /// Cursor to continue from, instead of a page number; `next` contains one after the last page.
    cursor: Option<String>,
}

impl PageQuery {
    /// A page without links, for callers from Rust.
    pub fn new(page: u64, size: u64) -> Self {
        Self {
            page: page.clamp(1, u64::from(u32::MAX)),
            size: size.clamp(1, MAX_SIZE),
            exact: false,
            ordering: None,
            cursor: None,
            links: Links::default(),
        }
    }

    /// The number of rows up to the end of the page; `None` with a cursor, whose position has no number.
    pub fn reach(&self) -> Option<u64> {
        self.cursor.is_none().then(|| self.page.saturating_mul(self.size))
    }

    /// Whether the requested ordering is the default one.
    pub fn is_default(&self, default: &str) -> bool {
        self.ordering.as_deref().is_none_or(|order| order.is_empty() || order == default)
    }

    /// Whether the requested ordering contains this field.
    pub fn orders_by(&self, field: &str) -> bool {
        let order = self.ordering.as_deref().unwrap_or_default();
        order.split(',').any(|term| term.trim().trim_start_matches('-') == field)
    }

    /// The number of rows at which counting may stop; `None` for an exact count.
    pub fn counted(&self) -> Option<u64> {
        (!self.exact).then_some(MAX_ROWS + 1)
    }

    /// The same page with another ordering, in the syntax of `?ordering=`.
    #[must_use]
    pub fn ordered(mut self, ordering: impl Into<String>) -> Self {
        self.ordering = Some(ordering.into());
        self
    }

    /// The same page with this ordering, unless one was requested.
    #[must_use]
    pub fn or_ordered(self, ordering: &str) -> Self {
        if self.ordering.as_deref().is_none_or(str::is_empty) { self.ordered(ordering) } else { self }
    }

    fn from_parts(parts: &Parts, url: &PublicUrl) -> Result<Self> {
        let links = Links::new(parts, url);
        let cursor = links.get("cursor").map(str::to_owned);
        let page = if cursor.is_some() { 1 } else { links.number("page", 1)? };
        let size = links.number("page_size", DEFAULT_SIZE)?.min(MAX_SIZE);
        if (page - 1).saturating_mul(size) >= MAX_ROWS {
            let detail = "Pages end at 10,000 results. Follow the next link of the last page to read further.";
            return Err(Error::new(Kind::Invalid, "page_too_deep", detail));
        }
        Ok(Self {
            page,
            size,
            exact: links.get("count") == Some("exact"),
            ordering: links.get("ordering").map(str::to_owned),
            cursor,
            links,
        })
    }

    fn url_of_page(&self, page: u64) -> String {
        self.links.with(&[("page", Some(page.to_string()))])
    }

    fn url_of_cursor(&self, cursor: &Cursor) -> String {
        self.links.with(&[("page", None), ("cursor", Some(cursor.encode()))])
    }
}

impl<S> FromRequestParts<S> for PageQuery
where
    PublicUrl: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        Self::from_parts(parts, &PublicUrl::from_ref(state))
    }
}

/// The orderings that a list supports.
#[derive(Debug)]
pub struct Ordering<'a, C: ColumnTrait> {
    /// Field names on the wire and their columns, each of which needs an index.
    pub fields: &'a [(&'a str, C)],
    /// The default ordering, in the syntax of `?ordering=`: `-created_at`.
    pub default: &'a str,
    /// The unique column that breaks ties, so that pages never overlap.
    pub id: C,
}

impl<C: ColumnTrait> Ordering<'_, C> {
    /// The columns of an ordering; 400 for a field that is unknown or repeated.
    fn columns(&self, order: &str) -> Result<Vec<(C, Order)>> {
        let mut columns = Vec::new();
        let mut seen = Vec::new();
        for term in order.split(',') {
            let (name, direction) = match term.trim().strip_prefix('-') {
                Some(name) => (name, Order::Desc),
                None => (term.trim(), Order::Asc),
            };
            let Some((_, column)) = self.fields.iter().find(|(known, _)| *known == name) else {
                let known: Vec<_> = self.fields.iter().map(|(known, _)| *known).collect();
                return Err(Error::field("ordering", format!("Choose from: {}.", known.join(", "))));
            };
            if seen.contains(&name) {
                return Err(Error::field("ordering", format!("{name} is repeated.")));
            }
            seen.push(name);
            columns.push((*column, direction));
        }
        let last = columns.last().map_or(Order::Asc, |(_, direction)| direction.clone());
        columns.push((self.id, last));
        Ok(columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn query(uri: &str) -> Result<PageQuery> {
        let (parts, ()) = Request::get(uri).body(()).unwrap().into_parts();
        PageQuery::from_parts(&parts, &"https://example.org".parse().unwrap())
    }

    #[test]
    fn links_keep_the_other_parameters() {
        let page = query("/api/things?search=a%20b&page=2").unwrap();
        assert_eq!(page.url_of_page(3), "https://example.org/api/things/?search=a+b&page=3");
    }

    #[test]
    fn a_size_over_the_limit_is_reduced_to_the_limit() {
        assert_eq!(query("/x/?page_size=5000").unwrap().size, 100);
        assert_eq!(query("/x/?page_size=99999999999999999999").unwrap().size, 100);
    }

    #[test]
    fn only_positive_integers_are_accepted() {
        for uri in ["/x/?page=0", "/x/?page=-1", "/x/?page=a", "/x/?page=", "/x/?page_size=0", "/x/?page=1.5"] {
            assert_eq!(query(uri).unwrap_err().kind(), Kind::Invalid, "{uri}");
        }
    }

    #[test]
    fn pages_end_at_ten_thousand_rows() {
        assert!(query("/x/?page=500").is_ok());
        for uri in ["/x/?page=501", "/x/?page=18446744073709551615", "/x/?page=99999999999999999999"] {
            assert_eq!(query(uri).unwrap_err().code(), "page_too_deep", "{uri}");
        }
    }
}
