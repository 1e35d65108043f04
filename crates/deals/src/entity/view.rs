use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{MemberId, OrganizationId, Sharing, ViewId, Viewed};

/// A saved view of a list.
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
    /// The filters as JSON, as in the query string of the list.
    pub filters: String,
    pub ordering: String,
    /// A JSON array of the names of the columns.
    pub columns: String,
    pub shared: Sharing,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
