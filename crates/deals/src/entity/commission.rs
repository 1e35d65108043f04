use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{Currency, Day, DealId, MemberId, OrganizationId, PaymentId};

/// What somebody earns by a payment, or no longer does. Never changed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_commission")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub org_id: OrganizationId,
    pub member_id: MemberId,
    pub deal_id: DealId,
    /// The entry of the ledger that it comes from.
    pub payment_id: PaymentId,
    /// In hundredths of a per cent.
    pub rate_bp: i64,
    /// Less than nothing, where money went back.
    pub amount_minor: i64,
    pub currency: Currency,
    /// A day, `2025-09-01`.
    pub earned_on: Day,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
