use sea_orm::entity::prelude::*;

use crate::{ClientId, CustomFieldId, DealId, OrganizationId};

/// What a field of an organization's own says of one client or deal, so that lists can be narrowed by it.
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
    /// A text, folded, or a day.
    pub text_value: Option<String>,
    /// Millionths; 0 and 1 for no and yes.
    pub number_value: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
