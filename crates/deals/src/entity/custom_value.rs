use sea_orm::entity::prelude::*;

use crate::{ClientId, CustomFieldId, DealId, OrganizationId};

/// The value of a custom field of a client or deal, indexed for filters.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_custom_value")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub org_id: OrganizationId,
    pub field_id: CustomFieldId,
    pub client_id: Option<ClientId>,
    pub deal_id: Option<DealId>,
    /// A folded text, or a date.
    pub text_value: Option<String>,
    /// Millionths; for a boolean, 0 or 1.
    pub number_value: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
