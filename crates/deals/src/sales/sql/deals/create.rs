//! Creating deals.

use futures_util::future::OptionFuture;
use guildhall_kernel::{
    Caller,
    db::{self, Tx},
};
use sea_orm::ActiveValue::NotSet;

use super::{
    draft::{DealInput, check_new_deal, currency_of, draft, may_create_in, number_deal, value_of},
    stage_changes::record_stage_change,
};
use crate::{
    ClientId, CustomFieldTarget, Error, NewDeal, Result, SqlSales,
    core::{access::Access, as_field, take_numbers},
    custom::sql::{self as custom, TargetId},
    entity::{client, custom_field, deal, stage},
    permission::Permission,
    sales::sql::{contacts, stages::lookup::resolve_stage},
};

/// A created deal, with what is shown of it.
pub(super) struct CreatedDeal {
    pub(super) row: deal::Model,
    pub(super) client: client::Model,
    pub(super) stage: stage::Model,
    /// The custom fields of deals.
    pub(super) fields: Vec<custom_field::Model>,
}

impl SqlSales {
    /// Creates a deal; the caller emits the event.
    pub(super) async fn insert_deal(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        client: Option<ClientId>,
        new: &NewDeal,
    ) -> Result<CreatedDeal> {
        let org = &access.org;
        let client_id = client.or(new.client_id);
        let client_id = client_id.ok_or_else(|| Error::field("client_id", "This field is required."))?;
        db::lock::<client::Entity>(tx, client_id).await?;
        if let Some(user) = new.owner_id {
            access.lock_successor(tx, user).await?;
        }
        if !new.custom.is_empty() {
            custom::lock_fields(tx, org.id, CustomFieldTarget::Deal).await?;
        }
        let pipeline = &tx.pipeline();
        let owner = new.owner_id.map(|user| access.find_successor(pipeline, "owner_id", user));
        let contact = new.contact_id.map(|contact| contacts::find(pipeline, access, client_id, contact));
        let (found, stage, owner, contact, fields, number) = tokio::join!(
            access.find_client(pipeline, client_id),
            resolve_stage(pipeline, org.id, new.pipeline_id, new.stage.as_ref()),
            OptionFuture::from(owner),
            OptionFuture::from(contact),
            custom::fields_of(pipeline, org.id, CustomFieldTarget::Deal),
            take_numbers(pipeline, org.id, "deal", 1),
        );
        let client = match client {
            Some(_) => found?,
            None => found.map_err(as_field("client_id", "There is no such client."))?,
        };
        let currency = currency_of(org, new.currency.clone());
        let value_minor = value_of(new.value.as_ref(), &currency)?;
        let stage = stage?;
        may_create_in(access, &stage)?;
        let owner = owner.transpose()?.map_or(access.member.id, |owner| owner.id);
        if owner != access.member.id {
            access.may_reassign_to(Permission::DealReassign, owner)?;
        }
        contact.transpose().map_err(as_field("contact_id", "This client has no such contact."))?;
        let fields = fields?;
        let custom = custom::validate_new(&fields, &new.custom)?;
        let now = self.core.now();
        let input = DealInput {
            title: &new.title,
            description: &new.description,
            source: &new.source,
            lost_reason: "",
            value_minor,
            currency,
            probability: new.probability,
            expected_close_date: new.expected_close_date.clone(),
            contact_id: new.contact_id,
            owner_id: owner,
            custom: custom.json.clone(),
        };
        let row = draft(access, &stage, input);
        if let Some(error) = check_new_deal(access, &row, &stage).into_iter().next() {
            return Err(error);
        }
        let row = number_deal(row, org, &client, number?, now);
        let row = db::insert(tx, deal::ActiveModel { id: NotSet, ..row.into() }).await?;
        custom.insert(tx, org.id, TargetId::Deal(row.id)).await?;
        record_stage_change(tx, access, &row, None, &stage).await?;
        self.core.record_created(tx, (caller, access), "deals.create_deal", &row).await?;
        Ok(CreatedDeal { row, client, stage, fields })
    }
}
