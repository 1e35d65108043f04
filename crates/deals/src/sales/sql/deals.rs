//! Deals.

pub(crate) mod draft;
pub(crate) mod stage_changes;

mod create;
mod list;
mod patch;
mod position;
mod show;

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::future::OptionFuture;
use garde::Validate;
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, IfMatch, Page, PageQuery, Timestamp, db,
    idempotency::{IdempotencyKey, Idempotent},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use self::{
    create::CreatedDeal,
    show::{Names, show},
    stage_changes::{previous_stage, stage_name_at, stages_of_move},
};
use super::{deal_change::DealChange, merged_clients::merged_into, pipelines::stages_of};
use crate::{
    Change, ClientId, CloseDeal, Deal, DealPatch, DealRef, DealStatus, Deals, DeletedKind, Error, Filter, MoveDeal,
    NewDeal, OrganizationId, Result, SqlSales, StageChange, Verdict, Verification, Viewed,
    core::{People, store::defer_changes, views::apply_view},
    entity::{deal, stage, stage_change},
    event::{DealCreated, DealData, DealDeleted},
    permission::{Permission, Scope},
};

#[async_trait]
impl Deals for SqlSales {
    async fn deals(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: Option<ClientId>,
        filter: Filter,
        page: PageQuery,
    ) -> Result<Page<Deal>> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        let (filter, page) = apply_view(conn, &access, Viewed::Deals, filter, page).await?;
        if page.orders_by("value") && filter.get("currency").is_none() {
            let message = "Amounts can only be compared within one currency. Filter by currency as well.";
            return Err(Error::field("ordering", message));
        }
        let page = self.core.page_of_deals(&access, client, &filter, &page).await?;
        let (rows, page) = page.split();
        let shown = self.core.show_deals(rows).await?;
        Ok(page.with_results(|_| shown))
    }

    async fn create_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: Option<ClientId>,
        new: NewDeal,
        key: Option<IdempotencyKey>,
    ) -> Result<Idempotent<Deal>> {
        new.validate()?;
        let (new, key) = (&new, &key);
        // The people in the response are looked up before the transaction, to keep it short.
        let people = self.core.people([caller.user].into_iter().chain(new.owner_id)).await?;
        let people = &people;
        self.core
            .db
            .write(|tx| async move {
                let (access, replayed) = self.core.access_and_replay(&tx, caller, org, key.as_ref()).await?;
                access.may(Permission::DealCreate)?;
                if let Some(response) = replayed? {
                    return Ok(Idempotent::Replayed(response));
                }
                let created = Box::pin(self.insert_deal(&tx, (caller, &access), client, new)).await?;
                let CreatedDeal { row, client, stage, fields } = created;
                let owner = new.owner_id.unwrap_or(caller.user);
                let members = [(row.created_by, caller.user), (row.owner_id, owner)];
                let members = members.into_iter().filter_map(|(id, user)| Some((id, people.get(&user)?.clone())));
                let names = Names {
                    clients: HashMap::from([(client.id, client.name)]),
                    stages: HashMap::from([(stage.id, stage.name)]),
                    people: People::new(members),
                };
                let event = DealCreated { organization_id: org, deal: DealData::from(&row) };
                let deal = show(row, &names, &fields);
                if let Some(key) = key {
                    key.store(&tx, &access.scope(), caller, &deal, self.core.now()).await?;
                }
                tx.emit(&event).await?;
                self.core.deal_assigned(&tx, caller, &access, (event.deal.id, event.deal.owner_member_id)).await?;
                Ok(Idempotent::Created(deal))
            })
            .await
    }

    async fn deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        as_of: Option<Timestamp>,
    ) -> Result<Deal> {
        let conn = self.core.db.conn();
        let (access, mut row) = self.core.access_to_deal(conn, caller, (org, deal_ref), Permission::DealRead).await?;
        let Some(as_of) = as_of else { return self.core.show_deal(row).await };
        row = self.core.as_of(conn, &access, row, as_of).await?.ok_or(Error::DealNotFound(deal_ref.deal))?;
        let stage_name = stage_name_at(conn, &row, as_of).await?;
        let client_id = row.client_id;
        row.client_id = merged_into(conn, org, client_id).await?.unwrap_or(client_id);
        let mut deal = self.core.show_deal(row).await?;
        deal.client_id = client_id;
        deal.stage = stage_name.unwrap_or(deal.stage);
        Ok(deal)
    }

    async fn change_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        patch: DealPatch,
        known: IfMatch,
    ) -> Result<Deal> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        let row = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                let mut change = self.core.lock_deal(conn, caller, org, deal_ref, Permission::DealUpdate).await?;
                change.access.check(known, change.before.updated_at)?;
                self.apply_patch(conn, &mut change, patch).await?;
                self.core.store_deal(conn, caller, change, "deals.change_deal").await
            })
            .await?;
        self.core.show_deal(row).await
    }

    async fn delete_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        purge: bool,
        known: IfMatch,
    ) -> Result<()> {
        let known = &known;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                let DealChange { access, before, .. } =
                    self.core.lock_deal(conn, caller, org, deal_ref, Permission::DealDelete).await?;
                access.check(known, before.updated_at)?;
                if purge {
                    access.may(Permission::TrashPurge)?;
                }
                if access.grants.scope(Permission::DealDelete) == Some(Scope::Own) && before.verified_minor > 0 {
                    return Err(Error::NotGranted("deal.delete"));
                }
                let actor = (caller, &access);
                let label = format!("{} - {}", before.code, before.title);
                let deletion = self.core.create_deletion(conn, &access, DeletedKind::Deal, &label).await?;
                let now = self.core.now();
                let (deleted_at, deletion_id) = (Some(now), Some(deletion));
                let after = deal::Model { deleted_at, deletion_id, updated_at: now, ..before.clone() };
                defer_changes(conn, &before, &after).await?;
                let id = deal_ref.deal;
                let detail = vec![("number", before.code.clone().into()), ("purge", purge.into())];
                self.core.record(conn, actor, "deals.delete_deal", ("deal", id.0), detail).await?;
                if purge {
                    self.core.purge_deletion(conn, actor, deletion).await?;
                }
                tx.emit(&DealDeleted { organization_id: org, id, number: before.code, purge }).await?;
                Ok(())
            })
            .await
    }

    async fn move_deal(&self, caller: &Caller, org: OrganizationId, deal_ref: DealRef, to: MoveDeal) -> Result<Deal> {
        to.validate()?;
        let to = &to;
        let row = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                let mut change = self.core.lock_deal(conn, caller, org, deal_ref, Permission::DealUpdate).await?;
                let (from, stage) = stages_of_move(&tx.pipeline(), &change.before, &to.stage).await?;
                // Serializes concurrent moves into a stage, so that no two deals get the same position.
                db::lock::<stage::Entity>(conn, stage.id).await?;
                let stages = (from.as_ref(), &stage);
                self.enter_stage(conn, &change.access, &mut change.after, stages, &to.lost_reason).await?;
                change.after.position = self.position_for(conn, &change.access, &change.after, to).await?;
                self.core.store_deal(conn, caller, change, "deals.move_deal").await
            })
            .await?;
        self.core.show_deal(row).await
    }

    async fn close_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        status: DealStatus,
        closing: CloseDeal,
    ) -> Result<Deal> {
        closing.validate()?;
        let closing = &closing;
        let row = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                let mut change = self.core.lock_deal(conn, caller, org, deal_ref, Permission::DealClose).await?;
                if change.before.status == status {
                    return Err(Error::IllegalTransition("The deal already has this status."));
                }
                let pipeline = &tx.pipeline();
                let previous = || previous_stage(pipeline, &change.before);
                let (stages, last_open) = tokio::join!(
                    stages_of(pipeline, change.before.pipeline_id),
                    OptionFuture::from((status == DealStatus::Open).then(previous)),
                );
                let (stages, last_open) = (stages?, last_open.transpose()?.flatten());
                let is_candidate = |stage: &&stage::Model| stage.kind == status;
                let target = stages.iter().filter(is_candidate).find(|stage| Some(stage.id) == last_open);
                let target = target.or_else(|| stages.iter().find(is_candidate));
                let target = target.ok_or(Error::IllegalTransition("The pipeline has no stage for this status."))?;
                let from = stages.iter().find(|stage| stage.id == change.before.stage_id);
                self.enter_stage(conn, &change.access, &mut change.after, (from, target), &closing.reason).await?;
                self.core.store_deal(conn, caller, change, "deals.close_deal").await
            })
            .await?;
        self.core.show_deal(row).await
    }

    async fn verify_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        verification: Verification,
        verdict: Verdict,
        known: IfMatch,
    ) -> Result<Deal> {
        verdict.validate()?;
        let (verdict, known) = (&verdict, &known);
        let row = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                let mut change = self.core.lock_deal(conn, caller, org, deal_ref, Permission::DealVerify).await?;
                change.access.check(known, change.before.updated_at)?;
                if change.before.verification == verification || change.before.verification == Verification::Verified {
                    return Err(Error::IllegalTransition("The deal has already been verified or rejected."));
                }
                change.after.verification = verification;
                verdict.reason.trim().clone_into(&mut change.after.verification_note);
                self.core.store_deal(conn, caller, change, "deals.verify_deal").await
            })
            .await?;
        self.core.show_deal(row).await
    }

    async fn archive_deal(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        archive: bool,
    ) -> Result<Deal> {
        let row = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                let mut change = self.core.lock_deal(conn, caller, org, deal_ref, Permission::DealUpdate).await?;
                if archive != change.before.archived_at.is_some() {
                    change.after.archived_at = archive.then(|| self.core.now());
                }
                self.core.store_deal(conn, caller, change, "deals.archive_deal").await
            })
            .await?;
        self.core.show_deal(row).await
    }

    async fn stage_changes(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        cursor: CursorQuery,
    ) -> Result<CursorPage<StageChange>> {
        let conn = self.core.db.conn();
        let (_, row) = self.core.access_to_deal(conn, caller, (org, deal_ref), Permission::DealRead).await?;
        let of_deal = stage_change::Entity::find()
            .filter(stage_change::COLUMN.org_id.eq(org))
            .filter(stage_change::COLUMN.deal_id.eq(row.id));
        let rows = cursor.apply(of_deal, stage_change::Column::Id).all(conn).await?;
        let (rows, page) = CursorPage::from_rows(rows, |row: &stage_change::Model| row.id, &cursor).split();
        let people = self.core.members_as_people(conn, rows.iter().map(|row| row.moved_by)).await?;
        let show = |row: stage_change::Model| StageChange {
            id: row.id,
            from_stage: (!row.from_name.is_empty()).then_some(row.from_name),
            to_stage: row.to_name,
            moved_by: people.get(row.moved_by),
            moved_at: row.moved_at,
        };
        Ok(page.with_results(rows.into_iter().map(show).collect()))
    }

    async fn deal_changes(
        &self,
        caller: &Caller,
        org: OrganizationId,
        deal_ref: DealRef,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Change>> {
        let conn = self.core.db.conn();
        let (access, row) = self.core.access_to_deal(conn, caller, (org, deal_ref), Permission::DealRead).await?;
        self.core.changes_of(conn, &access, "deal", row.id.0, &cursor).await
    }
}
