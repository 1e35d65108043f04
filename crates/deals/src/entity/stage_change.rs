use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{DealId, MemberId, OrganizationId, StageId};

/// The move of a deal from one stage to another.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_stage_change")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub org_id: OrganizationId,
    pub deal_id: DealId,
    /// `None` for a new deal, and once the stage is deleted.
    pub from_stage_id: Option<StageId>,
    pub to_stage_id: Option<StageId>,
    /// The name of the stage at that time.
    pub from_name: String,
    pub to_name: String,
    pub moved_by: MemberId,
    pub moved_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
