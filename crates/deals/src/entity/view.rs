use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{MemberId, OrganizationId, Sharing, ViewId, Viewed};

/// A list as somebody wants to see it again.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_view")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: ViewId,
    pub org_id: OrganizationId,
    pub member_id: MemberId,
    pub entity: Viewed,
    pub name: String,
    pub name_key: String,
    /// JSON: the filters, as the list's address has them.
    pub filters: String,
    pub ordering: String,
    /// JSON: the names of the columns.
    pub columns: String,
    pub shared: Sharing,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
