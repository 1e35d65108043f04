//! The search.

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{error::Result, feed::SearchResults};

/// The search.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Search: Send + Sync + 'static {
    /// Searches groups, posts and people visible to the viewer.
    async fn search(&self, viewer: Option<Caller>, text: String, limit: u64) -> Result<SearchResults>;
}
