//! Changes of a deal, by its own operations and by those of its line items, files and activities.

use guildhall_kernel::{
    Caller,
    db::{self, Tx},
};

use super::stage_requirements::needs_approval;
use crate::{
    DealId, DealRef, DealStatus, Error, MemberId, OrganizationId, Result, Verification,
    core::{Core, access::Access, store::defer_changes},
    entity::deal,
    event::{self, DealAssigned},
    ledger::sums::is_overpaid,
    permission::Permission,
};

/// A change of a locked deal in progress: the caller's access, and the row before and after.
pub(crate) struct DealChange {
    pub(crate) access: Access,
    pub(crate) before: deal::Model,
    pub(crate) after: deal::Model,
}

impl DealChange {
    /// Checks a change of value or currency, and resets the verification.
    pub(super) fn apply_value_change(&mut self) -> Result<()> {
        let Self { access, before, after } = self;
        if after.value_minor == before.value_minor && after.currency == before.currency {
            return Ok(());
        }
        if is_overpaid(&access.org, after) {
            let paid = after.currency.format(i128::from(after.received_minor));
            return Err(Error::field("value", format!("Value must be at least {paid}, which has already been paid.")));
        }
        // A verification does not cover the new value.
        after.verification = Verification::Pending;
        after.verification_note.clear();
        // Otherwise a deal could be won first and raised above the limit afterwards.
        if after.status == DealStatus::Won && needs_approval(&access.org, after) {
            return Err(Error::ApprovalRequired);
        }
        Ok(())
    }
}

impl Core {
    /// Locks a deal until the transaction ends, for an operation that needs this permission.
    pub(super) async fn lock_deal(
        &self,
        tx: &Tx,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        permission: Permission,
    ) -> Result<DealChange> {
        db::lock::<deal::Entity>(tx, deal_ref.deal).await?;
        let (access, before) = self.access_to_deal(tx, caller, (org, deal_ref), permission).await?;
        Ok(DealChange { access, after: before.clone(), before })
    }

    /// Stores a changed deal, records the change in the audit log and emits an event. Does nothing if nothing changed.
    pub(super) async fn store_deal(
        &self,
        tx: &Tx,
        caller: &Caller,
        change: DealChange,
        action: &'static str,
    ) -> Result<deal::Model> {
        let DealChange { access, before, mut after } = change;
        if after != before {
            after.updated_at = self.now();
            defer_changes(tx, &before, &after).await?;
            self.record_changed(tx, (caller, &access), action, &before, &after).await?;
            event::deal_updated(tx, &before, &after).await?;
            if after.owner_id != before.owner_id {
                self.deal_assigned(tx, caller, &access, (after.id, after.owner_id)).await?;
            }
        }
        Ok(after)
    }

    /// Emits [`DealAssigned`] for a deal with a new owner, unless that is the caller.
    pub(super) async fn deal_assigned(
        &self,
        tx: &Tx,
        caller: &Caller,
        access: &Access,
        (deal, owner): (DealId, MemberId),
    ) -> Result<()> {
        if owner != access.member.id {
            let (organization_id, actor) = (access.org.id, caller.user);
            tx.emit(&DealAssigned { organization_id, deal, owner, actor }).await?;
        }
        Ok(())
    }
}
