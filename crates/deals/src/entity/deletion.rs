use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{DeletedKind, DeletionId, MemberId, OrganizationId};

/// A deletion: the objects that were moved to the trash together and are restored together.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_deletion")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: DeletionId,
    pub org_id: OrganizationId,
    /// The kind of the deleted object.
    pub kind: DeletedKind,
    /// The name of the deleted object.
    pub label: String,
    /// `None` if a command deleted it.
    pub deleted_by: Option<MemberId>,
    pub deleted_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
