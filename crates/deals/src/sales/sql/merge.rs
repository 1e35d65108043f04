//! Finding and merging duplicate clients.

use async_trait::async_trait;
use guildhall_kernel::Caller;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use super::clients::derive;
use crate::{
    Client, ClientId, Duplicate, Error, Merges, OrganizationId, Result, SqlSales,
    core::{as_field, audit::BulkChange, execute, lock_to_remove, scalar_i64, store},
    custom::sql as custom,
    entity::{client, merged_client},
    event,
    permission::Permission,
};

/// The maximum length of a client's notes, in characters.
const MAX_NOTES_CHARS: usize = 10_000;
/// The maximum number of possible duplicates.
const MAX_DUPLICATES: u64 = 50;

/// The fields of a merged client, for the audit log.
fn audit_detail(client: &client::Model) -> serde_json::Value {
    serde_json::json!({
        "email": client.email, "phone": client.phone, "website": client.website, "address": client.address,
        "tax_id": client.tax_id, "notes": client.notes, "custom": client.custom,
    })
}

impl SqlSales {
    /// The client that a client was merged into, if it was.
    pub(crate) async fn merged_into(
        &self,
        conn: &impl ConnectionTrait,
        org: OrganizationId,
        id: ClientId,
    ) -> Result<Option<ClientId>> {
        Ok(merged_client::Entity::find_by_id((org, id)).one(conn).await?.map(|row| row.client_id))
    }
}

#[async_trait]
impl Merges for SqlSales {
    async fn duplicates(&self, caller: &Caller, org: OrganizationId, id: ClientId) -> Result<Vec<Duplicate>> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        let own = access.find_client(conn, id).await?;
        let mut same = Condition::any().add(client::COLUMN.name_key.eq(own.name_key.clone()));
        if let Some(email) = &own.email_key {
            same = same.add(client::COLUMN.email_key.eq(email.clone()));
        }
        if let Some(phone) = &own.phone_key {
            same = same.add(client::COLUMN.phone_key.eq(phone.clone()));
        }
        let select = access.clients().filter(same).filter(client::COLUMN.id.ne(id));
        let rows = select.order_by_asc(client::Column::Id).limit(MAX_DUPLICATES).all(conn).await?;
        let mut duplicates = Vec::new();
        for row in rows {
            let mut same = Vec::new();
            if row.name_key == own.name_key {
                same.push("name");
            }
            if row.email_key.is_some() && row.email_key == own.email_key {
                same.push("email");
            }
            if row.phone_key.is_some() && row.phone_key == own.phone_key {
                same.push("phone");
            }
            duplicates.push((row, same));
        }
        let (rows, same): (Vec<_>, Vec<_>) = duplicates.into_iter().unzip();
        let clients = self.show_clients(rows).await?;
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
            .write(|tx| async move {
                let conn = &tx;
                // Locks in the order of ids, so that concurrent merges of the same clients do not deadlock.
                for id in [id.min(other), id.max(other)] {
                    lock_to_remove::<client::Entity>(conn, id).await?;
                }
                let access = self.core.access(conn, caller, org).await?;
                let before = access.client_for(conn, id, Permission::ClientUpdate).await?;
                if id == other {
                    return Err(Error::field("client_id", "A client cannot be merged with itself."));
                }
                let merged = access.client_for(conn, other, Permission::ClientDelete).await;
                let merged = merged.map_err(as_field("client_id", "There is no such client."))?;
                access.may_with_deals_of(conn, other, Permission::DealUpdate).await?;
                let ids = || [sea_orm::Value::from(id), org.into(), other.into()];
                let sql = "SELECT COUNT(*) FROM deals_contact \
                     WHERE org_id = $2 AND client_id = $1 AND is_primary AND deleted_at IS NULL";
                if scalar_i64(conn, sql, [id.into(), org.into()]).await? > 0 {
                    self.demote_primary(conn, (caller, &access), other).await?;
                }
                let now = self.core.now();
                for (table, kind) in [("deals_contact", "contact"), ("deals_deal", "deal"), ("deals_task", "task")] {
                    let condition = "org_id = $1 AND client_id = $2";
                    let change = BulkChange {
                        action: "deals.merge_clients",
                        table,
                        kind,
                        column: "client_id",
                        value: id.0,
                        also: &[],
                        condition,
                        parameters: vec![org.into(), other.into()],
                    };
                    change.record(conn, org, Some(caller), now).await?;
                    let sql = format!("UPDATE {table} SET client_id = $3, updated_at = $4 WHERE {condition}");
                    execute(conn, sql, [org.into(), other.into(), id.into(), now.into()]).await?;
                }
                for table in ["deals_activity", "deals_merged_client"] {
                    let sql = format!("UPDATE {table} SET client_id = $1 WHERE org_id = $2 AND client_id = $3");
                    execute(conn, sql, ids()).await?;
                }
                let sql = "UPDATE deals_custom_value SET client_id = $1 WHERE org_id = $2 AND client_id = $3 \
                     AND field_id NOT IN (SELECT v.field_id FROM deals_custom_value v \
                     WHERE v.org_id = $2 AND v.client_id = $1)";
                execute(conn, sql, ids()).await?;
                client::Entity::delete_by_id(other).exec(conn).await?;
                let redirect = merged_client::ActiveModel {
                    org_id: Set(org),
                    old_id: Set(other),
                    client_id: Set(id),
                    merged_at: Set(self.core.now()),
                };
                merged_client::Entity::insert(redirect).exec_without_returning(conn).await?;
                let mut after = before.clone();
                // Where both clients have a value, that of the merged one is added to the notes.
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
                    let room = MAX_NOTES_CHARS.saturating_sub(after.notes.chars().count());
                    after.notes.extend(addition.chars().take(room));
                }
                after.custom = custom::merge(&merged.custom, &before.custom);
                derive(&mut after);
                after.updated_at = self.core.now();
                store(conn, &before, &after).await?;
                self.rename_in_deals(conn, &after).await?;
                self.core.record_changed(conn, (caller, &access), "deals.merge_clients", &before, &after).await?;
                event::client_merged(&tx, &before, &after, other).await?;
                let detail = vec![
                    ("merged", other.0.into()),
                    ("name", merged.name.clone().into()),
                    ("client", audit_detail(&merged)),
                ];
                self.core.record(conn, (caller, &access), "deals.merge_clients", ("client", id.0), detail).await?;
                Ok::<_, Error>(after)
            })
            .await?;
        self.show_clients(vec![row]).await?.pop().ok_or(Error::ClientNotFound(id))
    }
}
