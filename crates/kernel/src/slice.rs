use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PartialModelTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{Error, PublicUrl, Result, page::Links};

const DEFAULT_LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 100;

/// A stretch of a history or feed, found by key: reading on costs the same however far one has
/// come, and nothing is shown twice or left out when rows come and go meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Slice<T> {
    /// Absolute URL that reads on in the same direction.
    pub next: Option<String>,
    /// Absolute URL that reads back.
    pub previous: Option<String>,
    /// Newest first; after `?after=`, oldest first.
    pub results: Vec<T>,
}

impl<T> Slice<T> {
    /// The same stretch of something else, made from what this one holds.
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Slice<U> {
        Slice { next: self.next, previous: self.previous, results: self.results.into_iter().map(make).collect() }
    }
}

/// What a [`Slice`] goes by: an ascending number that never changes and never comes again.
pub trait Keyed {
    /// The number.
    fn key(&self) -> i64;
}

/// Which stretch is asked for: `?limit=`, and one of `?before=` and `?after=`.
#[derive(Clone, Debug)]
pub struct SliceQuery {
    limit: u64,
    from: Window,
    links: Links,
}

/// The parameters of [`SliceQuery`] for the API description.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes")]
pub struct SliceParams {
    /// How many: 50, at most 100.
    limit: Option<u64>,
    /// Only what is older than this id, newest first.
    before: Option<u64>,
    /// Only what is newer than this id, oldest first.
    after: Option<u64>,
}

impl SliceQuery {
    /// The newest ones, without links, for callers from Rust.
    pub fn newest(limit: u64) -> Self {
        Self { limit: limit.clamp(1, MAX_LIMIT), from: Window::Newest, links: Links::default() }
    }

    /// What comes before this key, for callers from Rust.
    pub fn before(key: i64, limit: u64) -> Self {
        Self { from: Window::Before(key), ..Self::newest(limit) }
    }

    fn from_parts(parts: &Parts, url: &PublicUrl) -> Result<Self> {
        let links = Links::new(parts, url);
        let key = |name| {
            let number = links.get(name).map(|_| links.number(name, 1)).transpose();
            number.map(|number| number.map(|number| i64::try_from(number).unwrap_or(i64::MAX)))
        };
        let from = match (key("before")?, key("after")?) {
            (None, None) => Window::Newest,
            (Some(key), None) => Window::Before(key),
            (None, Some(key)) => Window::After(key),
            (Some(_), Some(_)) => {
                return Err(Error::field("after", "Give either before or after, not both."));
            }
        };
        let limit = links.number("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT);
        Ok(Self { limit, from, links })
    }

    fn url_of(&self, before: Option<i64>, after: Option<i64>) -> String {
        self.links.with(&[("before", before.map(|key| key.to_string())), ("after", after.map(|key| key.to_string()))])
    }
}

impl<S> FromRequestParts<S> for SliceQuery
where
    PublicUrl: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        Self::from_parts(parts, &PublicUrl::from_ref(state))
    }
}

/// Where a stretch begins, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// At the newest, towards the older.
    Newest,
    /// Before this one, towards the older.
    Before(i64),
    /// After this one, towards the newer.
    After(i64),
}

impl Window {
    /// So many rows of a query from here on, by the column that holds the key.
    pub fn cut<E: EntityTrait>(self, select: Select<E>, key: E::Column, rows: u64) -> Select<E> {
        let select = match self {
            Self::Newest => select.order_by_desc(key),
            Self::Before(end) => select.filter(key.lt(end)).order_by_desc(key),
            Self::After(start) => select.filter(key.gt(start)).order_by_asc(key),
        };
        select.limit(rows)
    }
}

impl SliceQuery {
    /// Where the stretch begins.
    pub fn window(&self) -> Window {
        self.from
    }

    /// How many rows have to be read: one more than are shown tells whether there is anything behind.
    pub fn rows(&self) -> u64 {
        self.limit + 1
    }

    /// The stretch of a query, by the column that holds the key.
    pub fn cut<E: EntityTrait>(&self, select: Select<E>, key: E::Column) -> Select<E> {
        self.from.cut(select, key, self.rows())
    }
}

impl<T: PartialModelTrait + Keyed> Slice<T> {
    /// Reads one stretch of a query, by the column that holds the key, in one statement.
    pub async fn fetch<E: EntityTrait>(
        select: Select<E>,
        key: E::Column,
        query: &SliceQuery,
        conn: &impl ConnectionTrait,
    ) -> Result<Self> {
        let rows = query.cut(select, key).into_partial_model::<T>();
        Ok(Self::of(rows.all(conn).await?, Keyed::key, query))
    }
}

impl<T> Slice<T> {
    /// The stretch that these rows are, as many as [`SliceQuery::rows`] asks for and in its order.
    pub fn of(mut results: Vec<T>, key: impl Fn(&T) -> i64, query: &SliceQuery) -> Self {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = results.len() > limit;
        results.truncate(limit);
        let first = results.first().map(&key);
        let last = results.last().map(&key).filter(|_| more);
        let (next, previous) = match query.from {
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

    /// Takes out what the stretch holds, to be put back with [`with`](Self::with) as something else.
    pub fn take(mut self) -> (Vec<T>, Self) {
        (std::mem::take(&mut self.results), self)
    }

    /// The same stretch of something else.
    pub fn with<U>(self, results: Vec<U>) -> Slice<U> {
        Slice { next: self.next, previous: self.previous, results }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn query(uri: &str) -> Result<SliceQuery> {
        let (parts, ()) = Request::get(uri).body(()).unwrap().into_parts();
        SliceQuery::from_parts(&parts, &"https://example.org".parse().unwrap())
    }

    #[test]
    fn a_direction_is_newest_before_or_after() {
        assert_eq!(query("/x/").unwrap().from, Window::Newest);
        assert_eq!(query("/x/?before=7").unwrap().from, Window::Before(7));
        assert_eq!(query("/x/?after=7").unwrap().from, Window::After(7));
        assert!(query("/x/?after=7&before=9").is_err());
        assert!(query("/x/?after=x").is_err());
    }

    #[test]
    fn limits_are_cut_and_nonsense_refused() {
        assert_eq!(query("/x/?limit=101").unwrap().limit, 100);
        assert!(query("/x/?limit=0").is_err());
    }
}
