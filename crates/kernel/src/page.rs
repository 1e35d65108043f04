mod count;
mod ordering;
mod template;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, Order, PartialModelTrait, QueryOrder, QuerySelect, Select, Statement,
    sea_query::SelectStatement,
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    Error, Kind, PublicUrl, Result,
    cursor::{Cursor, select_keys},
    db::{Conn, KeptCount},
    links::Links,
};

pub use count::count_up_to;
pub use ordering::Ordering;
pub use template::PageTemplate;

use count::{Count, VERSION, count_statement, counted_rows};

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
        let counted = counted_rows(&select, ordering, query.exact, conn.get_database_backend());
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
        let order = query.order(ordering.default);
        let columns = ordering.columns(order)?;
        let count = conn.get_database_backend().build(&count_statement(counted, query.exact));
        let kept = conn.keep_count(&count).await?;
        let count = Count { statement: count, kept };
        let rows = listed_rows(more(T::select_cols(select.select_only())), &columns, count.kept.as_ref());
        let rows = match &query.cursor {
            Some(cursor) => Cursor::decode(cursor, order)?.after(rows, &columns)?.limit(query.size + 1),
            None => rows.offset(query.offset()).limit(query.size),
        };
        let rows = conn.get_database_backend().build(&sea_orm::QueryTrait::into_query(rows));
        Self::read(rows, count, (order, columns.len()), query, conn).await
    }

    /// Reads the rows of the page, and counts.
    async fn read(
        rows: Statement,
        count: Count,
        (order, columns): (&str, usize),
        query: &PageQuery,
        conn: &Conn,
    ) -> Result<Self> {
        let mut found = conn.query_all_raw(rows).await?;
        let offset = query.offset();
        let more_after_cursor = query.cursor.is_some() && found.len() as u64 > query.size;
        found.truncate(usize::try_from(query.size).unwrap_or(usize::MAX));
        let shown = found.len() as u64;
        if shown == 0 && query.page > 1 {
            return Err(Error::new(Kind::NotFound, "page_not_found", "Page not found."));
        }
        let is_last_page = query.cursor.is_none() && shown < query.size;
        let total = if is_last_page { offset + shown } else { count.read(found.first(), conn).await? };
        let capped = !query.exact && total > MAX_ROWS;
        let in_pages = query.cursor.is_none() && offset + shown < total;
        let next = if in_pages && offset + shown < MAX_ROWS {
            Some(query.url_of_page(query.page + 1))
        } else if in_pages || more_after_cursor {
            let cursor = found.last().map(|last| Cursor::of(last, order, columns)).transpose()?;
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

/// The rows of a list in its order, with their sort keys and the version of a kept count.
fn listed_rows<E: EntityTrait>(rows: Select<E>, columns: &[(E::Column, Order)], kept: Option<&KeptCount>) -> Select<E> {
    let mut rows = select_keys(rows, columns);
    for (column, direction) in columns {
        rows = rows.order_by(*column, direction.clone());
    }
    match kept {
        Some(kept) => rows.expr_as(kept.version(), VERSION),
        None => rows,
    }
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

    /// The ordering in the syntax of `?ordering=`.
    fn order<'a>(&'a self, default: &'a str) -> &'a str {
        self.ordering.as_deref().filter(|order| !order.is_empty()).unwrap_or(default)
    }

    /// The number of rows on the pages before.
    fn offset(&self) -> u64 {
        (self.page - 1) * self.size
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
