//! Searching people to write to.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Person};

use crate::error::Result;

/// Searching people to write to.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait People: Send + Sync + 'static {
    /// Active users whose user names begin with a text: never the caller, blocked people, or those who do not want to
    /// be found.
    async fn search_users(&self, caller: &Caller, prefix: String, limit: u64) -> Result<Vec<Person>>;
}
