use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PartialModelTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{Error, PublicUrl, Result, links::Links};

const DEFAULT_LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 100;

/// A page of a history or feed, with keyset pagination: every page costs the same, and no row is repeated
/// or skipped when rows are added or deleted meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CursorPage<T> {
    /// Absolute URL of the next page in the same direction.
    pub next: Option<String>,
    /// Absolute URL of the page in the opposite direction.
    pub previous: Option<String>,
    /// Newest first; after `?after=`, oldest first.
    pub results: Vec<T>,
}

impl<T> CursorPage<T> {
    /// The same page with converted results.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> CursorPage<U> {
        let results = self.results.into_iter().map(convert).collect();
        CursorPage { next: self.next, previous: self.previous, results }
    }
}

/// A row with a key for [`CursorPage`]: an ascending number that never changes and is never reused.
pub trait Keyed {
    /// The key.
    fn key(&self) -> i64;
}

/// The requested page: `?limit=`, and one of `?before=` and `?after=`.
#[derive(Clone, Debug)]
pub struct CursorQuery {
    limit: u64,
    window: Window,
    links: Links,
}

/// The parameters of [`CursorQuery`] for the API description.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "used only for the API description")]
pub struct CursorParams {
    /// Number of results: 50 by default, at most 100.
    limit: Option<u64>,
    /// Only results older than this id, newest first.
    before: Option<u64>,
    /// Only results newer than this id, oldest first.
    after: Option<u64>,
}

impl CursorQuery {
    /// The newest rows, without links, for callers from Rust.
    pub fn newest(limit: u64) -> Self {
        Self { limit: limit.clamp(1, MAX_LIMIT), window: Window::Newest, links: Links::default() }
    }

    /// The rows before this key, without links, for callers from Rust.
    pub fn before(key: i64, limit: u64) -> Self {
        Self { window: Window::Before(key), ..Self::newest(limit) }
    }

    fn from_parts(parts: &Parts, url: &PublicUrl) -> Result<Self> {
        let links = Links::new(parts, url);
        let key = |name| {
            let number = links.get(name).map(|_| links.number(name, 1)).transpose();
            number.map(|number| number.map(|number| i64::try_from(number).unwrap_or(i64::MAX)))
        };
        let window = match (key("before")?, key("after")?) {
            (None, None) => Window::Newest,
            (Some(key), None) => Window::Before(key),
            (None, Some(key)) => Window::After(key),
            (Some(_), Some(_)) => {
                return Err(Error::field("after", "Use either before or after, not both."));
            }
        };
        let limit = links.number("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT);
        Ok(Self { limit, window, links })
    }

    fn url_of(&self, before: Option<i64>, after: Option<i64>) -> String {
        self.links.with(&[("before", before.map(|key| key.to_string())), ("after", after.map(|key| key.to_string()))])
    }
}

impl<S> FromRequestParts<S> for CursorQuery
where
    PublicUrl: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        Self::from_parts(parts, &PublicUrl::from_ref(state))
    }
}

/// Where a page begins, and in which direction it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// From the newest row to older ones.
    Newest,
    /// From this key, exclusive, to older rows.
    Before(i64),
    /// From this key, exclusive, to newer rows.
    After(i64),
}

impl Window {
    /// Restricts a query to this window and a number of rows; `key` is the column of the key.
    pub fn apply<E: EntityTrait>(self, select: Select<E>, key: E::Column, rows: u64) -> Select<E> {
        let select = match self {
            Self::Newest => select.order_by_desc(key),
            Self::Before(end) => select.filter(key.lt(end)).order_by_desc(key),
            Self::After(start) => select.filter(key.gt(start)).order_by_asc(key),
        };
        select.limit(rows)
    }
}

impl CursorQuery {
    /// Where the page begins.
    pub fn window(&self) -> Window {
        self.window
    }

    /// The number of rows to read: one more than the limit, to know whether there is a next page.
    pub fn rows(&self) -> u64 {
        self.limit + 1
    }

    /// Restricts a query to the rows to read; `key` is the column of the key.
    pub fn apply<E: EntityTrait>(&self, select: Select<E>, key: E::Column) -> Select<E> {
        self.window.apply(select, key, self.rows())
    }
}

impl<T: PartialModelTrait + Keyed> CursorPage<T> {
    /// Reads one page of a query in one statement; `key` is the column of the key.
    pub async fn fetch<E: EntityTrait>(
        select: Select<E>,
        key: E::Column,
        query: &CursorQuery,
        conn: &impl ConnectionTrait,
    ) -> Result<Self> {
        let rows = query.apply(select, key).into_partial_model::<T>();
        Ok(Self::from_rows(rows.all(conn).await?, Keyed::key, query))
    }
}

impl<T> CursorPage<T> {
    /// Builds the page from rows that were read as [`CursorQuery::apply`] restricts them.
    pub fn from_rows(mut results: Vec<T>, key: impl Fn(&T) -> i64, query: &CursorQuery) -> Self {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = results.len() > limit;
        results.truncate(limit);
        let first = results.first().map(&key);
        let last = results.last().map(&key).filter(|_| more);
        let (next, previous) = match query.window {
            Window::Newest => (last.map(|key| query.url_of(Some(key), None)), None),
            Window::Before(_) => {
                (last.map(|key| query.url_of(Some(key), None)), first.map(|key| query.url_of(None, Some(key))))
            }
            Window::After(_) => {
                (last.map(|key| query.url_of(None, Some(key))), first.map(|key| query.url_of(Some(key), None)))
            }
        };
        Self { next, previous, results }
    }

    /// Splits the page into its results and an empty page, to be filled by [`with_results`](Self::with_results).
    pub fn split(mut self) -> (Vec<T>, Self) {
        (std::mem::take(&mut self.results), self)
    }

    /// The same page with other results.
    pub fn with_results<U>(self, results: Vec<U>) -> CursorPage<U> {
        CursorPage { next: self.next, previous: self.previous, results }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn query(uri: &str) -> Result<CursorQuery> {
        let (parts, ()) = Request::get(uri).body(()).unwrap().into_parts();
        CursorQuery::from_parts(&parts, &"https://example.org".parse().unwrap())
    }

    #[test]
    fn a_window_is_newest_before_or_after() {
        assert_eq!(query("/x/").unwrap().window, Window::Newest);
        assert_eq!(query("/x/?before=7").unwrap().window, Window::Before(7));
        assert_eq!(query("/x/?after=7").unwrap().window, Window::After(7));
        assert!(query("/x/?after=7&before=9").is_err());
        assert!(query("/x/?after=x").is_err());
    }

    #[test]
    fn a_limit_is_capped_and_must_be_positive() {
        assert_eq!(query("/x/?limit=101").unwrap().limit, 100);
        assert!(query("/x/?limit=0").is_err());
    }
}
