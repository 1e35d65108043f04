//! Drafts of posts.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Page, PageQuery};

use crate::{
    error::Result,
    id::DraftId,
    posts::{Draft, NewPost, Post},
};

/// Drafts of posts.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Drafts: Send + Sync + 'static {
    /// Saves a draft.
    async fn save_draft(&self, caller: &Caller, new: NewPost) -> Result<Draft>;
    /// The caller's drafts, newest first.
    async fn drafts(&self, caller: &Caller, page: PageQuery) -> Result<Page<Draft>>;
    /// One of the caller's drafts.
    async fn draft(&self, caller: &Caller, id: DraftId) -> Result<Draft>;
    /// Replaces the content of a draft.
    async fn change_draft(&self, caller: &Caller, id: DraftId, new: NewPost) -> Result<Draft>;
    /// Deletes a draft.
    async fn delete_draft(&self, caller: &Caller, id: DraftId) -> Result<()>;
    /// Publishes a draft as a post and deletes the draft.
    async fn publish_draft(&self, caller: &Caller, id: DraftId) -> Result<Post>;
}
