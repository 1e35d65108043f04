use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{Currency, Day, DealId, MemberId, OrganizationId, PaymentId};

/// A commission of a member on a payment; negative on a refund or reversal. Rows are never changed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_commission")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub org_id: OrganizationId,
    pub member_id: MemberId,
    pub deal_id: DealId,
    /// The ledger entry that it was computed from.
    pub payment_id: PaymentId,
    /// The rate in basis points (hundredths of a percent).
    pub rate_bp: i64,
    pub amount_minor: i64,
    pub currency: Currency,
    pub earned_on: Day,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
