//! The feed.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Page, PageQuery};

use crate::{error::Result, feed::FeedFilter, posts::Post};

/// The feed.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Feed: Send + Sync + 'static {
    /// One cursor page of a feed.
    async fn feed(&self, viewer: Option<Caller>, filter: FeedFilter, cursor: CursorQuery) -> Result<CursorPage<Post>>;
    /// One numbered page of a feed, with a total count.
    async fn feed_page(&self, viewer: Option<Caller>, filter: FeedFilter, page: PageQuery) -> Result<Page<Post>>;
}
