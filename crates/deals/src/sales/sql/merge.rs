//! Finding and merging duplicate clients.

use async_trait::async_trait;
use guildhall_kernel::{
    Caller,
    db::{self, Tx},
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use serde_json::json;

use super::{clients::keys::derive, search_text};
use crate::{
    Client, ClientId, Duplicate, Error, MAX_CLIENT_NOTES, Merges, OrganizationId, Result, SqlClients,
    core::{access::Access, as_field, audit::BulkChange},
    custom::sql as custom,
    entity::{client, contact, deal, merged_client, task},
    event,
    permission::Permission,
};

/// The maximum number of possible duplicates.
const MAX_DUPLICATES: u64 = 50;

/// The number of a client's primary contacts.
const PRIMARY_CONTACTS: &str = "SELECT COUNT(*) FROM deals_contact \
     WHERE org_id = $1 AND client_id = $2 AND is_primary AND deleted_at IS NULL";
/// Moves what has no audit entries of its own. A value of a custom field moves only if the client has none.
const MOVE_UNAUDITED: [&str; 3] = [
    "UPDATE deals_activity SET client_id = $1 WHERE org_id = $2 AND client_id = $3",
    "UPDATE deals_merged_client SET client_id = $1 WHERE org_id = $2 AND client_id = $3",
    "UPDATE deals_custom_value SET client_id = $1 WHERE org_id = $2 AND client_id = $3 \
     AND field_id NOT IN (SELECT v.field_id FROM deals_custom_value v WHERE v.org_id = $2 AND v.client_id = $1)",
];

/// The fields of a merged client, for the audit log.
fn audit_detail(client: &client::Model) -> serde_json::Value {
    json!({
        "email": client.email, "phone": client.phone, "website": client.website, "address": client.address,
        "tax_id": client.tax_id, "notes": client.notes, "custom": client.custom,
    })
}

/// What two clients have in common.
fn common_fields(one: &client::Model, other: &client::Model) -> Vec<&'static str> {
    let has_same_email = one.email_key.is_some() && one.email_key == other.email_key;
    let has_same_phone = one.phone_key.is_some() && one.phone_key == other.phone_key;
    let fields = [("name", one.name_key == other.name_key), ("email", has_same_email), ("phone", has_same_phone)];
    fields.into_iter().filter(|(_, is_same)| *is_same).map(|(field, _)| field).collect()
}

/// A client with the details of one that is merged into it. Where both have a value, that of the merged one is added to
/// the notes.
fn combine(client: &client::Model, merged: &client::Model) -> client::Model {
    let mut after = client.clone();
    let mut conflicts = Vec::new();
    for (label, own, other) in [
        ("Email", &mut after.email, &merged.email),
        ("Phone", &mut after.phone, &merged.phone),
        ("Website", &mut after.website, &merged.website),
        ("Address", &mut after.address, &merged.address),
        ("Tax id", &mut after.tax_id, &merged.tax_id),
        ("Notes", &mut after.notes, &merged.notes),
    ] {
        if own.is_empty() {
            own.clone_from(other);
        } else if own != other && !other.is_empty() {
            conflicts.push(format!("{label}: {other}"));
        }
    }
    if !conflicts.is_empty() {
        let addition = format!("\n\n{} (merged):\n{}", merged.name, conflicts.join("\n"));
        // Truncated to the limit of notes; the audit log has all values.
        let room = MAX_CLIENT_NOTES.saturating_sub(after.notes.chars().count());
        after.notes.extend(addition.chars().take(room));
    }
    after.custom = custom::merge(&merged.custom, &client.custom);
    derive(&mut after);
    after
}

/// A change of the client of rows.
fn move_to<E: EntityTrait>(
    client: &client::Model,
    merged: &client::Model,
    kind: &'static str,
    [org_id, client_id]: [E::Column; 2],
) -> BulkChange<E> {
    BulkChange {
        action: "deals.merge_clients",
        kind,
        column: client_id,
        value: client.id.0,
        also: Vec::new(),
        condition: Condition::all().add(org_id.eq(merged.org_id)).add(client_id.eq(merged.id)),
    }
}

impl SqlClients {
    /// Moves all that belongs to a client to the one that it is merged into.
    async fn move_dependents(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        client: &client::Model,
        merged: &client::Model,
    ) -> Result<()> {
        let (org, id, now) = (access.org.id, client.id, self.core.now());
        let primary: Option<i64> = db::scalar(tx, PRIMARY_CONTACTS, [org.into(), id.into()]).await?;
        if primary.unwrap_or_default() > 0 {
            self.demote_primary(tx, (caller, access), merged.id).await?;
        }
        search_text::rename_client(tx, merged, client).await?;
        let columns = [contact::Column::OrgId, contact::Column::ClientId];
        move_to::<contact::Entity>(client, merged, "contact", columns).apply(tx, org, Some(caller), now).await?;
        let columns = [deal::Column::OrgId, deal::Column::ClientId];
        move_to::<deal::Entity>(client, merged, "deal", columns).apply(tx, org, Some(caller), now).await?;
        let columns = [task::Column::OrgId, task::Column::ClientId];
        move_to::<task::Entity>(client, merged, "task", columns).apply(tx, org, Some(caller), now).await?;
        for sql in MOVE_UNAUDITED {
            db::execute(tx, sql, [id.into(), org.into(), merged.id.into()]).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Merges for SqlClients {
    async fn duplicates(&self, caller: &Caller, org: OrganizationId, id: ClientId) -> Result<Vec<Duplicate>> {
        let conn = self.core.db.conn();
        let (access, own) = self.core.access_to_client(conn, caller, (org, id), Permission::ClientRead).await?;
        let mut same = Condition::any().add(client::COLUMN.name_key.eq(own.name_key.clone()));
        if let Some(email) = &own.email_key {
            same = same.add(client::COLUMN.email_key.eq(email.clone()));
        }
        if let Some(phone) = &own.phone_key {
            same = same.add(client::COLUMN.phone_key.eq(phone.clone()));
        }
        let select = access.clients().filter(same).filter(client::COLUMN.id.ne(id));
        let rows = select.order_by_asc(client::Column::Id).limit(MAX_DUPLICATES).all(conn).await?;
        let same: Vec<_> = rows.iter().map(|row| common_fields(row, &own)).collect();
        let clients = self.core.show_clients(rows).await?;
        Ok(clients.into_iter().zip(same).map(|(client, same)| Duplicate { client, same }).collect())
    }

    async fn merge_clients(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        other: ClientId,
    ) -> Result<Client> {
        let row = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                // Locks in the order of ids, so that concurrent merges of the same clients do not deadlock.
                for id in [id.min(other), id.max(other)] {
                    db::lock_to_remove::<client::Entity>(conn, id).await?;
                }
                let access = self.core.access(conn, caller, org).await?;
                let before = access.client_for(conn, id, Permission::ClientUpdate).await?;
                if id == other {
                    return Err(Error::field("client_id", "A client cannot be merged with itself."));
                }
                let merged = access.client_for(conn, other, Permission::ClientDelete).await;
                let merged = merged.map_err(as_field("client_id", "There is no such client."))?;
                access.may_with_deals_of(conn, other, Permission::DealUpdate).await?;
                let actor = (caller, &access);
                self.move_dependents(conn, actor, &before, &merged).await?;
                client::Entity::delete_by_id(other).exec(conn).await?;
                let redirect = merged_client::ActiveModel {
                    org_id: Set(org),
                    old_id: Set(other),
                    client_id: Set(id),
                    merged_at: Set(self.core.now()),
                };
                merged_client::Entity::insert(redirect).exec_without_returning(conn).await?;
                let mut after = combine(&before, &merged);
                after.updated_at = self.core.now();
                db::store_changes(conn, &before, &after).await?;
                self.core.record_changed(conn, actor, "deals.merge_clients", &before, &after).await?;
                let detail = vec![
                    ("merged", other.0.into()),
                    ("name", merged.name.clone().into()),
                    ("client", audit_detail(&merged)),
                ];
                self.core.record(conn, actor, "deals.merge_clients", ("client", id.0), detail).await?;
                event::client_merged(&tx, &before, &after, other).await?;
                Ok::<_, Error>(after)
            })
            .await?;
        self.core.show_client(row).await
    }
}
