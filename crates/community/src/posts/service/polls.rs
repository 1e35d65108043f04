//! Polls.

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{
    error::Result,
    id::PostId,
    posts::{Poll, Vote},
};

/// Polls.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Polls: Send + Sync + 'static {
    /// Votes in a poll, replacing the caller's earlier votes.
    async fn vote(&self, caller: &Caller, id: PostId, vote: Vote) -> Result<Poll>;
}
