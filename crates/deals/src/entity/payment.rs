use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{Currency, Day, DealId, MemberId, OrganizationId, PaymentId, PaymentKind, PaymentMethod, Verification};

/// A ledger entry: a payment, refund or reversal. Only its verification and its refunds change.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_payment")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: PaymentId,
    pub org_id: OrganizationId,
    /// The number, counted from 1 in each organization without gaps.
    pub number: i64,
    /// The number with its prefix: `TXN-0001`.
    pub code: String,
    pub deal_id: DealId,
    pub kind: PaymentKind,
    /// The payment that is refunded or reversed.
    pub of_id: Option<PaymentId>,
    pub amount_minor: i64,
    pub currency: Currency,
    pub method: PaymentMethod,
    pub cheque_number: Option<String>,
    pub reference: String,
    pub received_on: Day,
    pub recorded_by: MemberId,
    pub state: Verification,
    pub decided_by: Option<MemberId>,
    pub decided_at: Option<Timestamp>,
    /// Why it was rejected, refunded or reversed.
    pub reason: String,
    /// The sum of its refunds.
    pub refunded_minor: i64,
    /// It was reversed.
    pub is_reversed: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
