use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{Currency, Day, DealId, MemberId, OrganizationId, PaymentId, PaymentKind, PaymentMethod, Verification};

/// An entry in the ledger: money that came, or went back. Only what was decided about it changes.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_payment")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: PaymentId,
    pub org_id: OrganizationId,
    /// Counts from 1 in each organization, without gaps.
    pub number: i64,
    /// The number as people write it: `TXN-0001`.
    pub code: String,
    pub deal_id: DealId,
    pub kind: PaymentKind,
    /// The payment that is taken back.
    pub of_id: Option<PaymentId>,
    pub amount_minor: i64,
    pub currency: Currency,
    pub method: PaymentMethod,
    pub cheque_number: Option<String>,
    pub reference: String,
    /// A day, `2025-09-01`.
    pub received_on: Day,
    pub recorded_by: MemberId,
    pub state: Verification,
    pub decided_by: Option<MemberId>,
    pub decided_at: Option<Timestamp>,
    /// Why it was refused or taken back.
    pub reason: String,
    /// How much of it went back in refunds.
    pub refunded_minor: i64,
    /// A reversal has taken it back whole.
    pub is_reversed: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
