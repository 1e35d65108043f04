use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{DeletedKind, DeletionId, MemberId, OrganizationId};

/// What was put into the trash in one act, and comes back in one.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_deletion")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: DeletionId,
    pub org_id: OrganizationId,
    /// What it was.
    pub kind: DeletedKind,
    /// What it was called.
    pub label: String,
    /// None where a command did it.
    pub deleted_by: Option<MemberId>,
    pub deleted_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
