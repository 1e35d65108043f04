//! Deleting the rows that an import has created, when it is reverted or fails.

use guildhall_kernel::{Caller, db};
use sea_orm::ConnectionTrait;

use super::progress::{STALLED, advance};
use crate::{
    Error, OrganizationId, Result, SqlExchange, entity::import, event::ImportReverted, permission::Permission,
};

pub(super) const NOT_DONE: &str = "Only a finished import can be reverted.";

/// Deletes a chunk of the deals of an import that were not changed or used since, the last numbers first.
const DELETE_DEALS: &str = "DELETE FROM deals_deal WHERE id IN (SELECT d.id FROM deals_deal d \
     WHERE d.org_id = $1 AND d.import_id = $2 AND d.updated_at = d.created_at AND d.deleted_at IS NULL \
     AND NOT EXISTS (SELECT 1 FROM deals_payment p WHERE p.org_id = d.org_id AND p.deal_id = d.id) \
     AND NOT EXISTS (SELECT 1 FROM deals_activity a WHERE a.org_id = d.org_id AND a.deal_id = d.id) \
     AND NOT EXISTS (SELECT 1 FROM deals_file f WHERE f.org_id = d.org_id AND f.deal_id = d.id) \
     AND NOT EXISTS (SELECT 1 FROM deals_line l WHERE l.org_id = d.org_id AND l.deal_id = d.id) \
     AND NOT EXISTS (SELECT 1 FROM deals_task t WHERE t.org_id = d.org_id AND t.deal_id = d.id) \
     ORDER BY d.number DESC LIMIT 500) RETURNING number";
/// Deletes a chunk of the clients of an import that were not changed or used since.
const DELETE_CLIENTS: &str = "DELETE FROM deals_client WHERE id IN (SELECT c.id FROM deals_client c \
     WHERE c.org_id = $1 AND c.import_id = $2 AND c.updated_at = c.created_at AND c.deleted_at IS NULL \
     AND NOT EXISTS (SELECT 1 FROM deals_deal d WHERE d.org_id = c.org_id AND d.client_id = c.id) \
     AND NOT EXISTS (SELECT 1 FROM deals_contact p WHERE p.org_id = c.org_id AND p.client_id = c.id) \
     AND NOT EXISTS (SELECT 1 FROM deals_activity a WHERE a.org_id = c.org_id AND a.client_id = c.id) \
     AND NOT EXISTS (SELECT 1 FROM deals_task t WHERE t.org_id = c.org_id AND t.client_id = c.id) \
     AND NOT EXISTS (SELECT 1 FROM deals_merged_client m WHERE m.org_id = c.org_id AND m.client_id = c.id) \
     ORDER BY c.id LIMIT 500)";
/// Begins to revert a finished import, unless another process has begun and still makes progress. While an import is
/// being reverted, `kept` is -1.
const CLAIM: &str = "UPDATE deals_import SET kept = -1, updated_at = $2 \
     WHERE id = $1 AND status = 'done' AND (kept <> -1 OR updated_at < $3)";
/// Ends a revert that failed, so that it can be repeated.
const RELEASE: &str = "UPDATE deals_import SET kept = 0 \
     WHERE id = $1 AND status = 'done' AND kept = -1 AND updated_at = $2";
/// Marks an import as reverted, unless it was changed since it was read, and counts its remaining rows.
const MARK_REVERTED: &str = "UPDATE deals_import SET status = 'reverted', updated_at = $3, \
     kept = (SELECT COUNT(*) FROM deals_deal WHERE org_id = $1 AND import_id = $2) \
     + (SELECT COUNT(*) FROM deals_client WHERE org_id = $1 AND import_id = $2) \
     WHERE id = $2 AND status = 'done' AND kept = -1 AND updated_at = $4 RETURNING kept";
/// Locks the counter of deals, like every operation that assigns a number, and returns the next number.
const LOCK_COUNTER: &str = "UPDATE deals_counter SET next = next WHERE org_id = $1 AND kind = 'deal' RETURNING next";

/// What happens to the numbers of deleted deals.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum DealNumbers {
    /// The last ones are assigned again, since the import was never finished.
    Release,
    /// They are never assigned again.
    Retire,
}

impl SqlExchange {
    /// Deletes the rows that an import has created, except those that were changed or used since. Returns the numbers
    /// of deleted deals that are never assigned again; `None` if another process has changed the import since it was
    /// read.
    pub(super) async fn delete_created(
        &self,
        row: &mut import::Model,
        deal_numbers: DealNumbers,
    ) -> Result<Option<Vec<i64>>> {
        let (id, org) = (row.id, row.org_id);
        let mut retired = Vec::new();
        loop {
            let (previous, now) = (row.updated_at, self.core.now());
            let chunk = self.core.db.write(|tx| async move {
                if !advance(&tx, id, previous, now, (0, 0)).await? {
                    return Ok(None);
                }
                let numbers: Vec<i64> = db::scalars(&tx, DELETE_DEALS, [org.into(), id.into()]).await?;
                if numbers.is_empty() {
                    let clients = db::execute(&tx, DELETE_CLIENTS, [org.into(), id.into()]).await?;
                    return Ok(Some((clients > 0, numbers)));
                }
                match deal_numbers {
                    DealNumbers::Release => Ok(Some((true, release_numbers(&tx, org, numbers).await?))),
                    DealNumbers::Retire => Ok::<_, Error>(Some((true, numbers))),
                }
            });
            let Some((has_deleted, numbers)) = chunk.await? else { return Ok(None) };
            row.updated_at = now;
            retired.extend(numbers);
            if !has_deleted {
                return Ok(Some(retired));
            }
        }
    }

    /// Reverts an import that is done.
    pub(super) async fn revert(self, caller: Caller, mut row: import::Model) -> Result<()> {
        let (id, now) = (row.id, self.core.now());
        let claim = |tx| async move { db::execute(&tx, CLAIM, [id.into(), now.into(), (now - STALLED).into()]).await };
        if self.core.db.write(claim).await? == 0 {
            return Err(Error::IllegalTransition(NOT_DONE));
        }
        row.updated_at = now;
        let outcome = self.delete_and_mark(&caller, &mut row).await;
        if outcome.is_err() {
            let claimed_at = row.updated_at;
            let release = |tx| async move { db::execute(&tx, RELEASE, [id.into(), claimed_at.into()]).await };
            self.core.db.write(release).await?;
        }
        outcome
    }

    /// Deletes the rows of an import that is being reverted, and marks it as reverted.
    async fn delete_and_mark(&self, caller: &Caller, row: &mut import::Model) -> Result<()> {
        let numbers = self.delete_created(row, DealNumbers::Retire).await?;
        let numbers = &ranges(numbers.ok_or(Error::IllegalTransition(NOT_DONE))?);
        let (core, id, org, previous) = (&self.core, row.id, row.org_id, row.updated_at);
        core.db
            .write(|tx| async move {
                let values = [org.into(), id.into(), core.now().into(), previous.into()];
                let kept: Option<i64> = db::scalar(&tx, MARK_REVERTED, values).await?;
                let kept = kept.ok_or(Error::IllegalTransition(NOT_DONE))?;
                let access = core.authorize(&tx, caller, org, Permission::ImportRun).await?;
                tx.emit(&ImportReverted { organization_id: org, id, kept }).await?;
                let detail = vec![("kept", kept.into()), ("numbers", numbers.as_str().into())];
                core.record(&tx, (caller, &access), "deals.revert_import", ("import", id.0), detail).await
            })
            .await
    }
}

/// Lets the numbers of deleted deals be assigned again if no later ones were; returns the other numbers.
async fn release_numbers(conn: &impl ConnectionTrait, org: OrganizationId, mut numbers: Vec<i64>) -> Result<Vec<i64>> {
    if numbers.is_empty() {
        return Ok(numbers);
    }
    numbers.sort_unstable();
    let before = db::scalar::<i64>(conn, LOCK_COUNTER, [org.into()]).await?;
    let before = before.ok_or(Error::OrganizationNotFound(org))?;
    let mut next = before;
    while numbers.last().is_some_and(|last| last + 1 == next) {
        numbers.pop();
        next -= 1;
    }
    if next < before {
        let sql = "UPDATE deals_counter SET next = $1 WHERE org_id = $2 AND kind = 'deal'";
        db::execute(conn, sql, [next.into(), org.into()]).await?;
    }
    Ok(numbers)
}

/// Numbers as ranges, for the audit log: `1-14000, 14007`.
pub(super) fn ranges(mut numbers: Vec<i64>) -> String {
    numbers.sort_unstable();
    let ranges = numbers.chunk_by(|one, next| one + 1 == *next).map(|range| match range {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    ranges.collect::<Vec<_>>().join(", ")
}
