use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{CustomFieldId, CustomFieldTarget, CustomFieldType, OrganizationId};

/// A custom field of clients or deals.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_custom_field")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: CustomFieldId,
    pub org_id: OrganizationId,
    pub entity: CustomFieldTarget,
    /// The identifier in the API.
    pub key: String,
    pub name: String,
    pub kind: CustomFieldType,
    /// A JSON array of the options.
    pub options: String,
    pub is_required: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
