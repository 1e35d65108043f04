//! The deletion of whole organizations. The order of the tables is derived from their foreign keys.

use std::collections::BTreeSet;

use guildhall_kernel::{AccountCleanup, UserId, db::Tx, text};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement};

use crate::{
    CleanedUp, Error, OrganizationId, Result, SqlTenancy,
    core::{execute, scalar_i64, to_u64},
    entity::{member, organization},
};

/// The table that all others of an organization refer to.
const ROOT: &str = "deals_organization";

/// The organizations to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrganizationSelector {
    /// All that were created for a test.
    Tests,
    /// The one with this name. Refused if several have it.
    Named(String),
    /// The one with this id.
    Id(OrganizationId),
}

/// Why nothing was deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CleanupRefusal {
    /// Several organizations have the name.
    #[error("several organizations have this name; choose one with --org-id: {}", id_list(.0))]
    Ambiguous(Vec<OrganizationId>),
    /// The organizations have deals.
    #[error("there are {0} deals; use --force to delete them as well")]
    HasDeals(u64),
}

fn id_list(ids: &[OrganizationId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A foreign key between tables of an organization.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ForeignKey {
    table: String,
    column: String,
    target: String,
}

/// The tables with rows of an organization and the foreign keys between them, from the schema. In a key over several
/// columns, `org_id` is left out and the other one identifies the row.
async fn schema(conn: &impl ConnectionTrait) -> Result<(BTreeSet<String>, BTreeSet<ForeignKey>)> {
    let sql = match conn.get_database_backend() {
        DbBackend::Sqlite => {
            "SELECT t.name FROM pragma_table_list t, pragma_table_info(t.name) c \
             WHERE t.schema = 'main' AND t.type = 'table' AND t.name LIKE 'deals\\_%' ESCAPE '\\' \
             AND c.name = 'org_id'"
        }
        _ => {
            "SELECT table_name::text FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name LIKE 'deals\\_%' AND column_name = 'org_id'"
        }
    };
    let mut tables = BTreeSet::new();
    for row in conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await? {
        tables.insert(row.try_get_by_index::<String>(0)?);
    }
    let is_internal =
        |key: &ForeignKey| key.column != "org_id" && tables.contains(&key.table) && tables.contains(&key.target);
    let keys = all_keys(conn).await?.into_iter().filter(is_internal).collect();
    Ok((tables, keys))
}

/// All foreign keys of the database, one entry per column.
async fn all_keys(conn: &impl ConnectionTrait) -> Result<Vec<ForeignKey>> {
    let sql = match conn.get_database_backend() {
        DbBackend::Sqlite => {
            "SELECT t.name, k.\"from\", k.\"table\" FROM pragma_table_list t, pragma_foreign_key_list(t.name) k \
             WHERE t.schema = 'main' AND t.type = 'table'"
        }
        _ => {
            "SELECT c.conrelid::regclass::text, a.attname::text, c.confrelid::regclass::text \
             FROM pg_constraint c CROSS JOIN LATERAL unnest(c.conkey) AS k (number) \
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number \
             WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace"
        }
    };
    let mut keys = Vec::new();
    for row in conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await? {
        let [table, column, target]: [String; 3] =
            [row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?];
        keys.push(ForeignKey { table, column, target });
    }
    Ok(keys)
}

/// Sorts the tables so that each comes before those that it refers to.
fn deletion_order(tables: &BTreeSet<String>, keys: &BTreeSet<ForeignKey>) -> Result<Vec<String>> {
    let mut remaining = tables.clone();
    let mut ordered = Vec::new();
    while !remaining.is_empty() {
        let is_referenced = |table: &String| {
            keys.iter().any(|key| key.target == *table && key.table != *table && remaining.contains(&key.table))
        };
        let Some(next) = remaining.iter().find(|table| !is_referenced(table)).cloned() else {
            let cycle = remaining.into_iter().collect::<Vec<_>>().join(", ");
            return Err(guildhall_kernel::Error::internal(format!("cyclic foreign keys between: {cycle}")).into());
        };
        remaining.remove(&next);
        ordered.push(next);
    }
    Ok(ordered)
}

impl SqlTenancy {
    /// Deletes an organization and everything in it. Returns the number of deleted rows per table.
    pub(crate) async fn delete_all(
        &self,
        conn: &impl ConnectionTrait,
        org: OrganizationId,
    ) -> Result<Vec<(String, u64)>> {
        let (tables, keys) = schema(conn).await?;
        let mut counts = Vec::new();
        for table in deletion_order(&tables, &keys)? {
            let self_references: Vec<&ForeignKey> =
                keys.iter().filter(|key| key.table == table && key.target == table).collect();
            // Rows that other rows of the table refer to are deleted in a later pass.
            let conditions = self_references.iter().map(|key| {
                let column = &key.column;
                format!(" AND NOT EXISTS (SELECT 1 FROM {table} c WHERE c.org_id = $1 AND c.{column} = {table}.id)")
            });
            let sql = format!("DELETE FROM {table} WHERE org_id = $1{}", conditions.collect::<String>());
            let mut count = 0;
            loop {
                let deleted = execute(conn, sql.as_str(), [org.into()]).await?;
                count += deleted;
                if deleted == 0 || self_references.is_empty() {
                    break;
                }
            }
            counts.push((table, count));
        }
        let deleted = execute(conn, "DELETE FROM deals_organization WHERE id = $1", [org.into()]).await?;
        counts.push((ROOT.to_owned(), deleted));
        counts.retain(|(_, count)| *count > 0);
        Ok(counts)
    }

    /// Deletes organizations with everything in them, in one transaction; with `dry_run` everything is rolled back.
    /// `accounts` also deletes the accounts of former members that nothing uses any more.
    ///
    /// # Errors
    /// If the database fails; a [`CleanupRefusal`] if nothing is deleted for another reason.
    pub async fn clean_up(
        &self,
        selector: &OrganizationSelector,
        accounts: Option<&dyn AccountCleanup>,
        dry_run: bool,
        force: bool,
    ) -> Result<Result<Vec<CleanedUp>, CleanupRefusal>> {
        let operation = |tx: Tx| async move {
            let orgs = self.find_organizations(&tx, selector).await?;
            if matches!(selector, OrganizationSelector::Named(_)) && orgs.len() > 1 {
                return Ok(Err(CleanupRefusal::Ambiguous(orgs.iter().map(|org| org.id).collect())));
            }
            let mut deals = 0;
            for org in &orgs {
                let sql = "SELECT COUNT(*) FROM deals_deal WHERE org_id = $1";
                deals += to_u64(scalar_i64(&tx, sql, [org.id.into()]).await?);
            }
            if deals > 0 && !force && !dry_run {
                return Ok(Err(CleanupRefusal::HasDeals(deals)));
            }
            let mut members = Vec::new();
            let mut cleaned = Vec::new();
            for org in &orgs {
                members.push(self.users_of(&tx, org.id).await?);
                let rows = self.delete_all(&tx, org.id).await?;
                cleaned.push(CleanedUp { id: org.id, name: org.name.clone(), rows, users: Vec::new() });
            }
            if let Some(accounts) = accounts {
                for (cleaned, members) in cleaned.iter_mut().zip(members) {
                    for user in members {
                        if accounts.remove_unused(&tx, user).await? {
                            cleaned.users.push(user);
                        }
                    }
                }
            }
            Ok::<_, Error>(Ok(cleaned))
        };
        if dry_run { self.core.db.dry_run(operation).await } else { self.core.write(operation).await }
    }

    async fn find_organizations(
        &self,
        conn: &impl ConnectionTrait,
        selector: &OrganizationSelector,
    ) -> Result<Vec<organization::Model>> {
        let all = organization::Entity::find().order_by_asc(organization::Column::Id);
        let select = match selector {
            OrganizationSelector::Tests => all.filter(organization::COLUMN.is_test.eq(true)),
            OrganizationSelector::Named(name) => all.filter(organization::COLUMN.name_key.eq(text::fold(name.trim()))),
            OrganizationSelector::Id(id) => all.filter(organization::COLUMN.id.eq(*id)),
        };
        Ok(select.all(conn).await?)
    }

    async fn users_of(&self, conn: &impl ConnectionTrait, org: OrganizationId) -> Result<Vec<UserId>> {
        let members = member::Entity::find()
            .select_only()
            .column(member::Column::UserId)
            .filter(member::COLUMN.org_id.eq(org))
            .filter(member::COLUMN.user_id.is_not_null())
            .order_by_asc(member::Column::Id);
        Ok(members.into_tuple::<UserId>().all(conn).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(table: &str, target: &str) -> ForeignKey {
        ForeignKey { table: table.into(), column: "x_id".into(), target: target.into() }
    }

    #[test]
    fn referencing_tables_come_first() {
        let tables = ["a", "b", "c"].map(str::to_owned).into();
        let keys = [key("a", "b"), key("b", "c"), key("b", "b")].into();
        assert_eq!(deletion_order(&tables, &keys).unwrap(), ["a", "b", "c"]);
        let cycle = [key("a", "b"), key("b", "a")].into();
        assert!(deletion_order(&tables, &cycle).is_err());
    }
}
