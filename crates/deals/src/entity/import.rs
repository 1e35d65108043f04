use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{ImportId, ImportKind, ImportStatus, MemberId, OrganizationId};

/// An import of a table.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_import")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: ImportId,
    pub org_id: OrganizationId,
    pub kind: ImportKind,
    pub file_name: String,
    pub status: ImportStatus,
    pub total: i64,
    pub created: i64,
    pub updated: i64,
    pub skipped: i64,
    pub failed: i64,
    /// How many rows were not deleted when it was reverted; -1 while it is being reverted.
    pub kept: i64,
    /// A JSON array of the first errors.
    pub errors: String,
    pub created_by: MemberId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
