//! Commission: earned on verified payments, and reduced by refunds and reversals.

use guildhall_kernel::{
    Error as KernelError,
    db::{self, Tx},
};
use sea_orm::{ActiveValue::NotSet, ColumnTrait, EntityTrait, QueryFilter, Set};

use super::SqlLedger;
use crate::{
    MemberId, Result,
    entity::{commission, deal, member, payment},
    money::divide_half_even,
};

/// The commission on an amount, rounded half to even. The rate is in basis points (hundredths of a percent).
fn commission_on(minor: i64, rate_bp: i64) -> Result<i64> {
    let commission = divide_half_even(i128::from(minor) * i128::from(rate_bp), 10_000);
    i64::try_from(commission).map_err(|error| KernelError::internal(error).into())
}

impl SqlLedger {
    /// Credits the deal's owner with the commission on a verified payment.
    pub(super) async fn add_commission(&self, tx: &Tx, deal: &deal::Model, payment: &payment::Model) -> Result<()> {
        let owner = member::Entity::find_by_id(deal.owner_id).one(tx).await?;
        let Some(owner) = owner.filter(|owner| owner.commission_bp > 0) else { return Ok(()) };
        let amount = commission_on(payment.amount_minor, owner.commission_bp)?;
        self.insert_commission(tx, payment, owner.id, owner.commission_bp, amount).await
    }

    /// Reduces the commission on a payment after a refund or reversal. The remaining commission is always exactly that
    /// on the remaining amount, to the minor unit.
    pub(super) async fn reduce_commission(
        &self,
        tx: &Tx,
        original: &payment::Model,
        entry: &payment::Model,
    ) -> Result<()> {
        let select = commission::Entity::find().filter(commission::COLUMN.payment_id.eq(original.id));
        let Some(commission) = select.one(tx).await? else { return Ok(()) };
        let before = original.amount_minor - original.refunded_minor;
        let after = before - entry.amount_minor;
        let amount = commission_on(after, commission.rate_bp)? - commission_on(before, commission.rate_bp)?;
        self.insert_commission(tx, entry, commission.member_id, commission.rate_bp, amount).await
    }

    async fn insert_commission(
        &self,
        tx: &Tx,
        entry: &payment::Model,
        member: MemberId,
        rate_bp: i64,
        amount_minor: i64,
    ) -> Result<()> {
        let row = commission::ActiveModel {
            id: NotSet,
            org_id: Set(entry.org_id),
            member_id: Set(member),
            deal_id: Set(entry.deal_id),
            payment_id: Set(entry.id),
            rate_bp: Set(rate_bp),
            amount_minor: Set(amount_minor),
            currency: Set(entry.currency.clone()),
            earned_on: Set(entry.received_on.clone()),
            created_at: Set(self.core.now()),
        };
        Ok(db::insert_only(&tx.deferred(), row).await?)
    }
}
