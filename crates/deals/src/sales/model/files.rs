use guildhall_kernel::{Person, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::DealFileId;

/// A file attached to a deal, or a receipt of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DealFile {
    /// The file's id.
    pub id: DealFileId,
    /// Its name.
    pub name: String,
    /// Its media type.
    #[schema(example = "application/pdf")]
    pub content_type: String,
    /// Its size in bytes.
    pub size: i64,
    /// A signed download URL for the caller, valid for at least half an hour.
    pub url: String,
    /// Who added it.
    pub added_by: Option<Person>,
    /// When it was added.
    pub created_at: Timestamp,
}
