//! Clients that are one: finding them, and making them one.

use guildhall_kernel::Caller;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use super::{SqlDeals, as_field, changes::Bulk, custom, lock_to_remove, number, run};
use crate::{
    Client, ClientId, Duplicate, Error, OrganizationId, Result,
    entity::{client, merged_client},
    permission::Permission,
};

/// How long a client's notes are at most, in characters.
const LONGEST_NOTES: usize = 10_000;
/// How many clients that may be the same are shown.
const MOST: u64 = 50;

/// All that was said of a client, word for word.
fn was(client: &client::Model) -> serde_json::Value {
    serde_json::json!({
        "email": client.email, "phone": client.phone, "website": client.website, "address": client.address,
        "tax_id": client.tax_id, "notes": client.notes, "custom": client.custom,
    })
}

impl SqlDeals {
    pub(super) async fn find_duplicates(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
    ) -> Result<Vec<Duplicate>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        let own = access.find_client(conn, id).await?;
        let mut same = Condition::any().add(client::COLUMN.name_key.eq(own.name_key.clone()));
        if let Some(email) = &own.email_key {
            same = same.add(client::COLUMN.email_key.eq(email.clone()));
        }
        if let Some(phone) = &own.phone_key {
            same = same.add(client::COLUMN.phone_key.eq(phone.clone()));
        }
        let found = access.clients().filter(same).filter(client::COLUMN.id.ne(id));
        let rows = found.order_by_asc(client::Column::Id).limit(MOST).all(conn).await?;
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

    /// Makes one client of two: what hangs on the other hangs on this one, what this one lacks it takes from the
    /// other, and the other is found here.
    pub(super) async fn merge(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ClientId,
        other: ClientId,
    ) -> Result<Client> {
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                // In one order for all, so that two who merge crosswise do not wait for each other.
                for id in [id.min(other), id.max(other)] {
                    lock_to_remove::<client::Entity>(conn, id).await?;
                }
                let access = self.enter(conn, caller, org).await?;
                let before = access.client_for(conn, id, Permission::ClientUpdate).await?;
                if id == other {
                    return Err(Error::field("client_id", "That is the same client."));
                }
                let gone = access.client_for(conn, other, Permission::ClientDelete).await;
                let gone = gone.map_err(as_field("client_id", "There is no such client."))?;
                access.may_with_deals_of(conn, other, Permission::DealUpdate).await?;
                let key = || [sea_orm::Value::from(id), org.into(), other.into()];
                let first = "SELECT COUNT(*) FROM deals_contact \
                     WHERE org_id = $2 AND client_id = $1 AND is_primary AND deleted_at IS NULL";
                if number(conn, first, [id.into(), org.into()]).await? > 0 {
                    self.demote_primary(conn, (caller, &access), other).await?;
                }
                let now = self.now();
                for of in [("deals_contact", "contact"), ("deals_deal", "deal"), ("deals_task", "task")] {
                    let (action, column, which) =
                        ("deals.merge_clients", "client_id", "org_id = $1 AND client_id = $2");
                    let values = vec![org.into(), other.into()];
                    let change = Bulk { action, of, column, to: id.0, also: &[], which, values };
                    change.note(conn, org, Some(caller), now).await?;
                    let table = of.0;
                    let sql = format!("UPDATE {table} SET client_id = $3, updated_at = $4 WHERE {which}");
                    run(conn, sql, [org.into(), other.into(), id.into(), now.into()]).await?;
                }
                for table in ["deals_activity", "deals_merged_client"] {
                    let sql = format!("UPDATE {table} SET client_id = $1 WHERE org_id = $2 AND client_id = $3");
                    run(conn, sql, key()).await?;
                }
                let lacking = "UPDATE deals_custom_value SET client_id = $1 WHERE org_id = $2 AND client_id = $3 \
                     AND field_id NOT IN (SELECT v.field_id FROM deals_custom_value v \
                     WHERE v.org_id = $2 AND v.client_id = $1)";
                run(conn, lacking, key()).await?;
                client::Entity::delete_by_id(other).exec(conn).await?;
                let found_here = merged_client::ActiveModel {
                    org_id: Set(org),
                    old_id: Set(other),
                    client_id: Set(id),
                    merged_at: Set(self.now()),
                };
                merged_client::Entity::insert(found_here).exec_without_returning(conn).await?;
                let mut after = before.clone();
                // What both have: there is one place for it, and what the other has goes into the notes.
                let mut over = Vec::new();
                for (label, own, others) in [
                    ("Email", &mut after.email, &gone.email),
                    ("Phone", &mut after.phone, &gone.phone),
                    ("Website", &mut after.website, &gone.website),
                    ("Address", &mut after.address, &gone.address),
                    ("Tax id", &mut after.tax_id, &gone.tax_id),
                    ("Notes", &mut after.notes, &gone.notes),
                ] {
                    if own.is_empty() {
                        own.clone_from(others);
                    } else if own != others && !others.is_empty() {
                        over.push(format!("{label}: {others}"));
                    }
                }
                if !over.is_empty() {
                    let addition = format!("\n\n{} (merged):\n{}", gone.name, over.join("\n"));
                    // As much as there is room for; the log has all of it.
                    let room = LONGEST_NOTES.saturating_sub(after.notes.chars().count());
                    after.notes.extend(addition.chars().take(room));
                }
                after.custom = custom::over(&gone.custom, &before.custom);
                super::clients::derive(&mut after);
                after.updated_at = self.now();
                super::store(conn, &before, &after).await?;
                self.rename_in_deals(conn, &after).await?;
                self.changed(conn, (caller, &access), "deals.merge_clients", &before, &after).await?;
                let detail =
                    vec![("merged", other.0.into()), ("name", gone.name.clone().into()), ("client", was(&gone))];
                self.noted(conn, (caller, &access), "deals.merge_clients", ("client", id.0), detail).await?;
                Ok::<_, Error>(after)
            })
            .await?;
        self.show_clients(vec![row]).await?.pop().ok_or(Error::ClientNotFound(id))
    }

    /// Where a client is found that has become another; none where it never was.
    pub(super) async fn merged_into(
        &self,
        conn: &impl ConnectionTrait,
        org: OrganizationId,
        id: ClientId,
    ) -> Result<Option<ClientId>> {
        Ok(merged_client::Entity::find_by_id((org, id)).one(conn).await?.map(|row| row.client_id))
    }
}
