//! Changing deals.

use futures_util::future::OptionFuture;
use guildhall_kernel::db::{self, Tx};
use sea_orm::EntityTrait;

use super::{
    draft::{close_key, parse_value},
    stage_changes::stages_of_move,
};
use crate::{
    Amount, CustomFieldTarget, DealPatch, Error, Result, SqlSales,
    core::as_field,
    custom::sql::{self as custom, TargetId},
    entity::client,
    permission::Permission,
    sales::sql::{contacts, deal_change::DealChange, lines, search_text},
};

/// The number of a deal's payments.
const PAYMENTS: &str = "SELECT COUNT(*) FROM deals_payment WHERE org_id = $1 AND deal_id = $2";

impl SqlSales {
    /// Applies a change to a deal.
    pub(super) async fn apply_patch(&self, tx: &Tx, change: &mut DealChange, patch: &DealPatch) -> Result<()> {
        let DealChange { access, before, after } = &mut *change;
        for (field, value) in [
            (&mut after.title, &patch.title),
            (&mut after.description, &patch.description),
            (&mut after.source, &patch.source),
        ] {
            if let Some(value) = value {
                value.trim().clone_into(field);
            }
        }
        let new_currency = patch.currency.as_ref().filter(|currency| **currency != before.currency);
        let has_amount = patch.value.is_some() || patch.currency.is_some();
        let (access, before) = (&*access, &*before);
        if let Some(user) = patch.owner_id {
            access.lock_successor(tx, user).await?;
        }
        if patch.custom.is_some() {
            custom::lock_fields(tx, before.org_id, CustomFieldTarget::Deal).await?;
        }
        let pipeline = &tx.pipeline();
        let of_client = || client::Entity::find_by_id(before.client_id).one(pipeline);
        let count_payments = || db::scalar::<i64>(pipeline, PAYMENTS, [before.org_id.into(), before.id.into()]);
        let of_contact = |contact| contacts::find(pipeline, access, before.client_id, contact);
        let find_owner = |user| access.find_successor(pipeline, "owner_id", user);
        let read_fields = || custom::fields_of(pipeline, before.org_id, CustomFieldTarget::Deal);
        let (client, has_lines, payments, contact, owner, fields, stages) = tokio::join!(
            OptionFuture::from((after.title != before.title).then(of_client)),
            OptionFuture::from(has_amount.then(|| lines::has_lines(pipeline, before))),
            OptionFuture::from(new_currency.map(|_| count_payments())),
            OptionFuture::from(patch.contact_id.flatten().map(of_contact)),
            OptionFuture::from(patch.owner_id.map(find_owner)),
            OptionFuture::from(patch.custom.as_ref().map(|_| read_fields())),
            OptionFuture::from(patch.stage.as_ref().map(|stage| stages_of_move(pipeline, before, stage))),
        );
        if let Some(client) = client.transpose()? {
            let client = client.ok_or(Error::ClientNotFound(before.client_id))?;
            after.search_text = search_text::of_deal(&after.title, &after.code, &client);
        }
        if has_lines.transpose()?.unwrap_or_default() {
            let field = if patch.value.is_some() { "value" } else { "currency" };
            return Err(Error::field(field, "The deal's value is the total of its line items. Change those instead."));
        }
        if let Some(currency) = new_currency {
            if payments.transpose()?.flatten().unwrap_or_default() > 0 {
                return Err(Error::CurrencyLocked);
            }
            // Without a new value the number stays, if the new currency has enough decimal places for it.
            let same = Amount::new(before.currency.format(i128::from(before.value_minor)));
            after.currency = currency.clone();
            after.value_minor = parse_value(patch.value.as_ref().unwrap_or(&same), currency)?;
        } else if let Some(value) = &patch.value {
            after.value_minor = parse_value(value, &before.currency)?;
        }
        change.apply_value_change()?;
        let DealChange { access, before, after } = change;
        if let Some(new) = patch.contact_id {
            contact.transpose().map_err(as_field("contact_id", "This client has no such contact."))?;
            after.contact_id = new;
        }
        if let Some(day) = &patch.expected_close_date {
            after.expected_close_date.clone_from(day);
            after.close_key = close_key(day.as_ref());
        }
        if let Some(successor) = owner.transpose()?.filter(|successor| successor.id != before.owner_id) {
            access.may_with(Permission::DealReassign, before.owner_id, before.created_by)?;
            access.may_reassign_to(Permission::DealReassign, successor.id)?;
            after.owner_id = successor.id;
        }
        if let (Some(input), Some(fields)) = (&patch.custom, fields.transpose()?) {
            let values = custom::validate_changed(&fields, &before.custom, input)?;
            after.custom.clone_from(&values.json);
            values.replace(tx, before.org_id, TargetId::Deal(before.id)).await?;
        }
        if let Some((from, to)) = stages.transpose()? {
            self.enter_stage(tx, access, after, (from.as_ref(), &to), "").await?;
        }
        after.probability = patch.probability.unwrap_or(after.probability);
        Ok(())
    }
}
