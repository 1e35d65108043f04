//! Rows of clients: checking and storing them.

use std::collections::{BTreeMap, HashMap, HashSet};

use garde::Validate;
use guildhall_kernel::{
    Caller,
    db::{self, Tx},
};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, EntityTrait, QueryFilter};

use super::{
    CHUNK,
    owners::Owner,
    row::{Checked, Context, RowCheck},
};
use crate::{
    ClientPatch, ImportId, NewClient, NewImport, OnDuplicate, Result, SqlExchange,
    core::access::Access,
    custom::sql::{TargetId, ValidatedValues},
    entity::client,
    exchange::table::sheet::Sheet,
    permission::Permission,
    sales::sql::clients::{
        EMAIL_TAKEN,
        draft::draft,
        keys::email_key,
        patch::{apply_patch, may_reassign},
    },
};

/// A checked row of clients.
pub(super) struct ClientRow {
    new: NewClient,
    /// The owner, if the row names one.
    pub(super) owner: Option<Owner>,
    custom: ValidatedValues,
    /// The client with this email address, if there is one.
    pub(super) existing: Option<client::Model>,
}

impl SqlExchange {
    /// The clients of the organization that have an email address of the table, by its key.
    async fn clients_by_email(
        &self,
        access: &Access,
        sheet: &Sheet,
        context: &Context,
    ) -> Result<HashMap<String, client::Model>> {
        let mut by_email = HashMap::new();
        let checks = sheet.rows.iter().map(|row| RowCheck::new(row, sheet, context));
        let emails: Vec<String> = checks.filter_map(|check| email_key(check.get("email"))).collect();
        for emails in emails.chunks(CHUNK) {
            // Including those that the caller may not see: an email address is unique in an organization.
            let existing = client::Entity::find()
                .filter(client::COLUMN.org_id.eq(access.org.id))
                .filter(client::COLUMN.deleted_at.is_null())
                .filter(client::COLUMN.email_key.is_in(emails.iter().cloned()));
            for row in existing.all(self.core.db.conn()).await? {
                by_email.insert(row.email_key.clone().unwrap_or_default(), row);
            }
        }
        Ok(by_email)
    }

    /// Checks the rows of a table of clients.
    pub(super) async fn check_clients(
        &self,
        access: &Access,
        new: &NewImport,
        sheet: &Sheet,
        context: &Context,
    ) -> Result<Checked<Vec<ClientRow>>> {
        let by_email = self.clients_by_email(access, sheet, context).await?;
        let (mut checked, mut seen) = (Checked::new(), HashSet::new());
        for row in &sheet.rows {
            let mut check = RowCheck::new(row, sheet, context);
            check.check_cells();
            let custom = check.custom(new.decimal_comma);
            let owner = check.owner(access, Permission::ClientReassign);
            let cell = |field: &str| check.get(field).to_owned();
            let new_client = NewClient {
                name: cell("name"),
                email: cell("email"),
                phone: cell("phone"),
                website: cell("website"),
                address: cell("address"),
                tax_id: cell("tax_id"),
                notes: cell("notes"),
                owner_id: None,
                custom: BTreeMap::new(),
            };
            if let Err(report) = new_client.validate() {
                check.add_field_errors(report.into());
            }
            let key = email_key(&new_client.email);
            let is_repeated = key.as_ref().is_some_and(|key| !seen.insert(key.clone()));
            let existing = key.and_then(|key| by_email.get(&key).cloned());
            let may_update = |existing: &client::Model| {
                access.may_with(Permission::ClientUpdate, existing.owner_id, existing.created_by).is_ok()
            };
            let taken = match (&existing, new.on_duplicate) {
                _ if is_repeated => Some("An earlier row has this email address."),
                (Some(_), OnDuplicate::Error) => Some(EMAIL_TAKEN),
                (Some(existing), OnDuplicate::Update) if !may_update(existing) => Some(EMAIL_TAKEN),
                _ => None,
            };
            if let Some(message) = taken {
                check.errors.push(check.error("email", "duplicate", message));
            }
            if let (Some(existing), Some(owner)) = (&existing, &owner)
                && let Err(error) = may_reassign(access, existing, owner.id)
                && !check.has_error("owner")
            {
                check.errors.push(check.error("owner", "not_granted", error.to_string()));
            }
            if !check.errors.is_empty() {
                checked.reject(check.errors);
            } else if existing.is_some() && new.on_duplicate == OnDuplicate::Skip {
                checked.skipped += 1;
            } else {
                checked.rows.push(ClientRow { new: new_client, owner, custom, existing });
            }
        }
        Ok(checked)
    }

    /// Stores a chunk of clients.
    pub(super) async fn store_clients(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        import: ImportId,
        rows: &[ClientRow],
    ) -> Result<()> {
        access.may(Permission::ClientCreate)?;
        let (now, mut models) = (self.core.now(), Vec::new());
        for row in rows {
            if let Some(existing) = &row.existing {
                self.update_client(tx, (caller, access), existing, row).await?;
                continue;
            }
            let owner = row.owner.as_ref().map_or(access.member.id, |owner| owner.id);
            let model = client::Model {
                import_id: Some(import),
                custom: row.custom.json.clone(),
                ..draft(access, &row.new, owner, now)
            };
            let model = client::ActiveModel { id: NotSet, ..model.into() }.reset_all();
            if row.custom.json.is_empty() {
                models.push(model);
            } else {
                let id = model.insert(tx).await?.id;
                row.custom.insert(tx, access.org.id, TargetId::Client(id)).await?;
            }
        }
        if !models.is_empty() {
            client::Entity::insert_many(models).exec_without_returning(tx).await?;
        }
        Ok(())
    }

    /// Updates the client that has the email address of a row. Does nothing if nothing changes.
    async fn update_client(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        existing: &client::Model,
        row: &ClientRow,
    ) -> Result<()> {
        db::lock::<client::Entity>(tx, existing.id).await?;
        let before = access.client_for(tx, existing.id, Permission::ClientUpdate).await?;
        let mut after = before.clone();
        // Empty cells leave fields as they are.
        let changed = |cell: &String| Some(cell.clone()).filter(|cell| !cell.is_empty());
        let patch = ClientPatch {
            name: changed(&row.new.name),
            phone: changed(&row.new.phone),
            website: changed(&row.new.website),
            address: changed(&row.new.address),
            tax_id: changed(&row.new.tax_id),
            ..ClientPatch::default()
        };
        apply_patch(&mut after, &patch);
        if let Some(notes) = changed(&row.new.notes) {
            // A table preserves the white space around notes, which a patch removes.
            after.notes = notes;
        }
        if let Some(owner) = &row.owner {
            may_reassign(access, &before, owner.id)?;
            after.owner_id = owner.id;
        }
        after.custom = row.custom.merged_into(&before.custom);
        if after == before {
            return Ok(());
        }
        row.custom.replace(tx, access.org.id, TargetId::Client(existing.id)).await?;
        self.core.store_client(tx, (caller, access), &before, after, "deals.import_client").await?;
        Ok(())
    }
}
