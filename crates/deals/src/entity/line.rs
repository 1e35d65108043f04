use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{DealId, LineId, OrganizationId};

/// A line item of a deal.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_line")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: LineId,
    pub org_id: OrganizationId,
    pub deal_id: DealId,
    pub position: i64,
    pub name: String,
    /// In millionths.
    pub quantity_micro: i64,
    /// The unit price, in the deal's currency.
    pub unit_minor: i64,
    /// In basis points (hundredths of a percent).
    pub discount_bp: i64,
    /// In basis points (hundredths of a percent).
    pub tax_bp: i64,
    pub total_minor: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
