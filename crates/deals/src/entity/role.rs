use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{OrganizationId, RoleId};

/// A role: the permissions of its members.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_role")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: RoleId,
    pub org_id: OrganizationId,
    /// The identifier in the API; only preset roles have one.
    pub key: Option<String>,
    pub name: String,
    /// The name, folded; unique.
    pub name_key: String,
    /// A JSON array of permissions.
    pub permissions: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
