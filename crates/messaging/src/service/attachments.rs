//! Attachments of messages.

use async_trait::async_trait;
use axum::response::Response;
use guildhall_files::{Signature, Upload};
use guildhall_kernel::Caller;

use crate::{error::Result, id::AttachmentId, model::Attachment};

/// Attachments of messages.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Attachments: Send + Sync + 'static {
    /// Stores a file that the caller can attach to a message within a day.
    async fn upload(&self, caller: &Caller, upload: Upload) -> Result<Attachment>;
    /// The content of an attachment, for the caller or, without one, the user for whom the URL was signed. `name` is
    /// the file name in the URL. 404 unless they may read the message, or have uploaded a file that was not sent yet.
    async fn download(
        &self,
        caller: Option<Caller>,
        id: AttachmentId,
        name: String,
        signature: Signature,
    ) -> Result<Response>;
}
