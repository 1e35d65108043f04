//! The services on a database.

mod bookmarks;
mod feed;
mod follows;
mod search;
mod sources;

use sea_orm::sea_query::OnConflict;

use crate::{core::Core, groups::SqlGroups, posts::SqlPosts};

/// The services of feeds and the search on a database.
#[derive(Clone)]
pub struct SqlFeed {
    pub(crate) core: Core,
    pub(crate) groups: SqlGroups,
    pub(crate) posts: SqlPosts,
}

/// Ignores a row that exists already, whichever unique constraint it violates.
fn do_nothing() -> OnConflict {
    OnConflict::new().do_nothing().to_owned()
}
