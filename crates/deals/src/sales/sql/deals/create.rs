//! Creating deals.

use guildhall_kernel::{
    Caller,
    db::{self, Tx},
};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet};

use super::{
    draft::{DealInput, check_new_deal, currency_of, draft, may_create_in, number_deal, value_of},
    stage_changes::record_stage_change,
};
use crate::{
    ClientId, CustomFieldTarget, Error, NewDeal, Result, SqlSales,
    core::{access::Access, as_field, take_numbers},
    custom::sql::{self as custom, TargetId},
    entity::{client, deal, stage},
    event::{DealCreated, DealData},
    permission::Permission,
    sales::sql::{contacts, stages::lookup::resolve_stage},
};

impl SqlSales {
    /// Creates a deal; returns it with its client and stage.
    pub(super) async fn insert_deal(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        client: Option<ClientId>,
        new: &NewDeal,
    ) -> Result<(deal::Model, client::Model, stage::Model)> {
        let org = &access.org;
        let client_id = client.or(new.client_id);
        let client_id = client_id.ok_or_else(|| Error::field("client_id", "This field is required."))?;
        db::lock::<client::Entity>(tx, client_id).await?;
        let found = access.find_client(tx, client_id).await;
        let client = match client {
            Some(_) => found?,
            None => found.map_err(as_field("client_id", "There is no such client."))?,
        };
        let currency = currency_of(org, new.currency.clone());
        let value_minor = value_of(new.value.as_ref(), &currency)?;
        let stage = resolve_stage(tx, org.id, new.pipeline_id, new.stage.as_ref()).await?;
        may_create_in(access, &stage)?;
        let owner = match new.owner_id {
            Some(user) => access.successor(tx, "owner_id", user).await?.id,
            None => access.member.id,
        };
        if owner != access.member.id {
            access.may_reassign_to(Permission::DealReassign, owner)?;
        }
        if let Some(contact) = new.contact_id {
            let found = contacts::find(tx, access, client.id, contact).await;
            found.map_err(as_field("contact_id", "This client has no such contact."))?;
        }
        let custom = custom::validate_new(tx, org.id, CustomFieldTarget::Deal, &new.custom).await?;
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
        let number = take_numbers(tx, org.id, "deal", 1).await?;
        let row = number_deal(row, org, &client, number, now);
        let row = deal::ActiveModel { id: NotSet, ..row.into() }.reset_all().insert(tx).await?;
        custom.store(tx, org.id, TargetId::Deal(row.id)).await?;
        record_stage_change(tx, access, &row, None, &stage).await?;
        self.core.record_created(tx, (caller, access), "deals.create_deal", &row).await?;
        tx.emit(&DealCreated { organization_id: org.id, deal: DealData::from(&row) }).await?;
        Ok((row, client, stage))
    }
}
