use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{ActivityId, ActivityKind, ClientId, DealId, MemberId, OrganizationId};

/// An activity with a client.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_activity")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: ActivityId,
    pub org_id: OrganizationId,
    pub client_id: ClientId,
    pub deal_id: Option<DealId>,
    pub kind: ActivityKind,
    pub content: String,
    pub happened_at: Timestamp,
    pub created_by: MemberId,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
