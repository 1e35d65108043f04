//! Attachments of posts.

use async_trait::async_trait;
use guildhall_files::Upload;
use guildhall_kernel::Caller;

use crate::{
    error::Result,
    id::{AttachmentId, PostId},
    posts::Attachment,
};

/// Attachments of posts.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Attachments: Send + Sync + 'static {
    /// Attaches a file to the caller's post.
    async fn attach(&self, caller: &Caller, id: PostId, upload: Upload) -> Result<Attachment>;
    /// Removes an attachment from the caller's post.
    async fn detach(&self, caller: &Caller, id: PostId, attachment: AttachmentId) -> Result<()>;
}
