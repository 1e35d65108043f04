use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{OrganizationId, RoleId};

/// What members of an organization may do.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_role")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: RoleId,
    pub org_id: OrganizationId,
    /// What programs call it; only the roles that an organization begins with have one.
    pub key: Option<String>,
    pub name: String,
    /// The name, folded: unique.
    pub name_key: String,
    /// A JSON array of the words of the catalogue.
    pub permissions: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
