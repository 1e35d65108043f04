//! Changing deals.

use guildhall_kernel::db;
use sea_orm::{ConnectionTrait, EntityTrait};

use super::draft::{close_key, parse_value};
use crate::{
    Amount, CustomFieldTarget, DealPatch, Error, Result, SqlSales, StageRef,
    core::as_field,
    custom::sql::{self as custom, TargetId},
    entity::client,
    permission::Permission,
    sales::sql::{contacts, deal_change::DealChange, lines, search_text, stages::lookup::resolve_stage},
};

/// The number of a deal's payments.
const PAYMENTS: &str = "SELECT COUNT(*) FROM deals_payment WHERE org_id = $1 AND deal_id = $2";

impl SqlSales {
    /// Applies a change to a deal.
    pub(super) async fn apply_patch(
        &self,
        conn: &impl ConnectionTrait,
        change: &mut DealChange,
        patch: &DealPatch,
    ) -> Result<()> {
        let DealChange { before, after, .. } = &mut *change;
        for (field, value) in [
            (&mut after.title, &patch.title),
            (&mut after.description, &patch.description),
            (&mut after.source, &patch.source),
        ] {
            if let Some(value) = value {
                value.trim().clone_into(field);
            }
        }
        if after.title != before.title {
            let client = client::Entity::find_by_id(before.client_id).one(conn).await?;
            let client = client.ok_or(Error::ClientNotFound(before.client_id))?;
            after.search_text = search_text::of_deal(&after.title, &after.code, &client);
        }
        if (patch.value.is_some() || patch.currency.is_some()) && lines::has_lines(conn, before).await? {
            let field = if patch.value.is_some() { "value" } else { "currency" };
            return Err(Error::field(field, "The deal's value is the total of its line items. Change those instead."));
        }
        if let Some(currency) = patch.currency.as_ref().filter(|currency| **currency != before.currency) {
            let payments: Option<i64> = db::scalar(conn, PAYMENTS, [before.org_id.into(), before.id.into()]).await?;
            if payments.unwrap_or_default() > 0 {
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
        if let Some(contact) = patch.contact_id {
            if let Some(contact) = contact {
                let found = contacts::find(conn, access, before.client_id, contact).await;
                found.map_err(as_field("contact_id", "This client has no such contact."))?;
            }
            after.contact_id = contact;
        }
        if let Some(day) = &patch.expected_close_date {
            after.expected_close_date.clone_from(day);
            after.close_key = close_key(day.as_ref());
        }
        if let Some(user) = patch.owner_id {
            let successor = access.successor(conn, "owner_id", user).await?.id;
            if successor != before.owner_id {
                access.may_with(Permission::DealReassign, before.owner_id, before.created_by)?;
                access.may_reassign_to(Permission::DealReassign, successor)?;
                after.owner_id = successor;
            }
        }
        if let Some(input) = &patch.custom {
            let values =
                custom::validate_changed(conn, before.org_id, CustomFieldTarget::Deal, &before.custom, input).await?;
            after.custom.clone_from(&values.json);
            values.store(conn, before.org_id, TargetId::Deal(before.id)).await?;
        }
        if let Some(stage) = &patch.stage {
            let pipeline = Some(before.pipeline_id).filter(|_| matches!(stage, StageRef::Name(_)));
            let stage = resolve_stage(conn, before.org_id, pipeline, Some(stage)).await?;
            self.enter_stage(conn, access, after, &stage, "").await?;
        }
        after.probability = patch.probability.unwrap_or(after.probability);
        Ok(())
    }
}
