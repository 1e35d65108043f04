//! Pictures of groups.

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{
    error::Result,
    groups::{Group, PictureKind},
    id::GroupId,
};

/// Pictures of groups.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Pictures: Send + Sync + 'static {
    /// Sets a picture of a group. The file type is detected from the content, not from the declared type.
    async fn set_picture(
        &self,
        caller: &Caller,
        id: GroupId,
        kind: PictureKind,
        content: axum::body::Bytes,
    ) -> Result<Group>;
    /// Removes a picture of a group.
    async fn remove_picture(&self, caller: &Caller, id: GroupId, kind: PictureKind) -> Result<()>;
}
