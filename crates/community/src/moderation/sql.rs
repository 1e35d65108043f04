//! The services on a database.

mod moderation;
mod reports;
mod reviews;

use crate::{core::Core, posts::SqlPosts};

/// The services of moderators on a database.
#[derive(Clone)]
pub struct SqlModeration {
    pub(crate) core: Core,
    pub(crate) posts: SqlPosts,
}
