//! Taking whole organizations away, in an order that the foreign keys themselves tell.

use std::collections::{BTreeMap, BTreeSet};

use guildhall_kernel::{UserId, text};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement};

use super::{SqlDeals, many, number, run};
use crate::{
    Cleaned, Error, OrganizationId, Result,
    entity::{member, organization},
};

/// The table that all others of a tenant hang on.
const ROOT: &str = "deals_organization";

/// Which organizations are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that are marked as made for a test.
    Tests,
    /// The one of this name; refused where several have it.
    Named(String),
    /// The one with this number.
    Id(OrganizationId),
}

/// Which accounts may go with organizations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accounts<'a> {
    /// None.
    Stay,
    /// All that nothing else points at.
    All,
    /// Of these, those that nothing else points at.
    These(&'a [UserId]),
}

/// Why nothing was cleaned away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Several have the name.
    #[error("several organizations have this name; say which with --org-id: {}", numbers(.0))]
    Ambiguous(Vec<OrganizationId>),
    /// There are deals.
    #[error("there are {0} deals; --force takes them too")]
    HasDeals(u64),
}

fn numbers(ids: &[OrganizationId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A foreign key between tables of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    table: String,
    column: String,
    target: String,
}

/// What says who is in an organization; points at the host's user table.
const MEMBER: &str = "deals_member";
/// What belongs to an account itself, and goes or stays with it by its own rules.
const OF_ACCOUNTS: [&str; 2] = ["accounts_", "kernel_"];

/// The host's user table, as the memberships know it, and its key.
async fn user_table(conn: &impl ConnectionTrait) -> Result<(String, &'static str)> {
    let keys = all_keys(conn).await?;
    let found = keys.into_iter().find(|key| key.table == MEMBER && key.column == "user_id");
    let found = found.ok_or_else(|| guildhall_kernel::Error::internal("members point at no user table"))?;
    Ok((found.target, "id"))
}

/// The tables that belong to a tenant, and the keys between them, as the database knows them. Of a key over
/// several columns the last one tells the row; the others are the tenant's.
async fn keys(conn: &impl ConnectionTrait) -> Result<(BTreeSet<String>, BTreeSet<Key>)> {
    let sql = match conn.get_database_backend() {
        DbBackend::Sqlite => {
            "SELECT t.name FROM pragma_table_list t, pragma_table_info(t.name) c \
             WHERE t.schema = 'main' AND t.type = 'table' AND c.name = 'org_id'"
        }
        _ => {
            "SELECT table_name::text FROM information_schema.columns \
             WHERE table_schema = current_schema() AND column_name = 'org_id'"
        }
    };
    let mut tables = BTreeSet::new();
    for row in conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await? {
        tables.insert(row.try_get_by_index::<String>(0)?);
    }
    let within = |key: &Key| key.column != "org_id" && tables.contains(&key.table) && tables.contains(&key.target);
    let keys = all_keys(conn).await?.into_iter().filter(within).collect();
    Ok((tables, keys))
}

/// Every foreign key that there is, one for each of its columns.
async fn all_keys(conn: &impl ConnectionTrait) -> Result<Vec<Key>> {
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
        keys.push(Key { table, column, target });
    }
    Ok(keys)
}

/// The tables in an order in which each goes before those that it points at.
fn order(tables: &BTreeSet<String>, keys: &BTreeSet<Key>) -> Result<Vec<String>> {
    let mut left = tables.clone();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let pointed_at = |table: &String| {
            keys.iter().any(|key| key.target == *table && key.table != *table && left.contains(&key.table))
        };
        let Some(next) = left.iter().find(|table| !pointed_at(table)).cloned() else {
            let circle = left.into_iter().collect::<Vec<_>>().join(", ");
            return Err(guildhall_kernel::Error::internal(format!("tables point at each other: {circle}")).into());
        };
        left.remove(&next);
        ordered.push(next);
    }
    Ok(ordered)
}

impl SqlDeals {
    /// Removes everything of an organization, and the organization. Gives how many rows went of each table.
    pub(super) async fn clear(&self, conn: &impl ConnectionTrait, org: OrganizationId) -> Result<Vec<(String, u64)>> {
        let (tables, keys) = keys(conn).await?;
        let mut counts = Vec::new();
        for table in order(&tables, &keys)? {
            let own: Vec<&Key> = keys.iter().filter(|key| key.table == table && key.target == table).collect();
            // Rows that others of the table point at go after those.
            let unless = own.iter().map(|key| {
                let column = &key.column;
                format!(" AND NOT EXISTS (SELECT 1 FROM {table} c WHERE c.org_id = $1 AND c.{column} = {table}.id)")
            });
            let sql = format!("DELETE FROM {table} WHERE org_id = $1{}", unless.collect::<String>());
            let mut count = 0;
            loop {
                let gone = run(conn, sql.as_str(), [org.into()]).await?;
                count += gone;
                if gone == 0 || own.is_empty() {
                    break;
                }
            }
            counts.push((table, count));
        }
        counts.push((ROOT.to_owned(), run(conn, "DELETE FROM deals_organization WHERE id = $1", [org.into()]).await?));
        counts.retain(|(_, count)| *count > 0);
        Ok(counts)
    }

    /// What would go with an organization, table by table.
    async fn weigh(&self, conn: &impl ConnectionTrait, org: OrganizationId) -> Result<Vec<(String, u64)>> {
        let (tables, keys) = keys(conn).await?;
        let mut counts = Vec::new();
        for table in order(&tables, &keys)? {
            let sql = format!("SELECT COUNT(*) FROM {table} WHERE org_id = $1");
            counts.push((table, many(number(conn, sql, [org.into()]).await?)));
        }
        counts.push((ROOT.to_owned(), 1));
        counts.retain(|(_, count)| *count > 0);
        Ok(counts)
    }

    /// Takes organizations away, all or nothing; with `dry_run` only tells what would go. Of these accounts those
    /// go along that were in them and that nothing else points at.
    ///
    /// # Errors
    /// Where the database fails; a [`Refusal`] where it is not done for a reason.
    pub async fn clean_up(
        &self,
        which: &Which,
        accounts: Accounts<'_>,
        dry_run: bool,
        force: bool,
    ) -> Result<Result<Vec<Cleaned>, Refusal>> {
        self.act(|tx| async move {
            let conn = tx.conn();
            let found = self.chosen(conn, which).await?;
            if matches!(which, Which::Named(_)) && found.len() > 1 {
                return Ok(Err(Refusal::Ambiguous(found.iter().map(|org| org.id).collect())));
            }
            let mut deals = 0;
            for org in &found {
                let sql = "SELECT COUNT(*) FROM deals_deal WHERE org_id = $1";
                deals += many(number(conn, sql, [org.id.into()]).await?);
            }
            if deals > 0 && !force && !dry_run {
                return Ok(Err(Refusal::HasDeals(deals)));
            }
            let mut people = BTreeMap::new();
            for org in &found {
                people.insert(org.id, self.people_of(conn, org.id).await?);
            }
            let mut cleaned = Vec::new();
            for org in &found {
                let rows = if dry_run { self.weigh(conn, org.id).await? } else { self.clear(conn, org.id).await? };
                cleaned.push(Cleaned { id: org.id, name: org.name.clone(), rows, users: Vec::new() });
            }
            let ids: Vec<OrganizationId> = found.iter().map(|org| org.id).collect();
            let mut seen = BTreeSet::new();
            for cleaned in &mut cleaned {
                for user in people.remove(&cleaned.id).unwrap_or_default() {
                    let may_go = match accounts {
                        Accounts::Stay => false,
                        Accounts::All => true,
                        Accounts::These(these) => these.contains(&user),
                    };
                    if may_go && seen.insert(user.0) && self.is_free(conn, user, &ids).await? {
                        if !dry_run {
                            self.remove_account(conn, user).await?;
                        }
                        cleaned.users.push(user);
                    }
                }
            }
            Ok::<_, Error>(Ok(cleaned))
        })
        .await
    }

    async fn chosen(&self, conn: &impl ConnectionTrait, which: &Which) -> Result<Vec<organization::Model>> {
        let all = organization::Entity::find().order_by_asc(organization::Column::Id);
        let chosen = match which {
            Which::Tests => all.filter(organization::COLUMN.is_test.eq(true)),
            Which::Named(name) => all.filter(organization::COLUMN.name_key.eq(text::fold(name.trim()))),
            Which::Id(id) => all.filter(organization::COLUMN.id.eq(*id)),
        };
        Ok(chosen.all(conn).await?)
    }

    async fn people_of(&self, conn: &impl ConnectionTrait, org: OrganizationId) -> Result<Vec<UserId>> {
        let members = member::Entity::find()
            .select_only()
            .column(member::Column::UserId)
            .filter(member::COLUMN.org_id.eq(org))
            .filter(member::COLUMN.user_id.is_not_null())
            .order_by_asc(member::Column::Id);
        Ok(members.into_tuple::<UserId>().all(conn).await?)
    }

    /// Does nothing point at somebody but these organizations, and what belongs to the account itself?
    async fn is_free(&self, conn: &impl ConnectionTrait, user: UserId, orgs: &[OrganizationId]) -> Result<bool> {
        let elsewhere = member::Entity::find()
            .filter(member::COLUMN.user_id.eq(user))
            .filter(member::COLUMN.org_id.is_not_in(orgs.iter().copied()));
        if elsewhere.one(conn).await?.is_some() {
            return Ok(false);
        }
        let (users, _) = user_table(conn).await?;
        for key in all_keys(conn).await?.into_iter().filter(|key| key.target == users) {
            if OF_ACCOUNTS.iter().any(|prefix| key.table.starts_with(prefix)) || key.table == MEMBER {
                continue;
            }
            let sql = format!("SELECT COUNT(*) FROM {} WHERE {} = $1", key.table, key.column);
            if number(conn, sql, [user.into()]).await? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn remove_account(&self, conn: &impl ConnectionTrait, user: UserId) -> Result<()> {
        let (users, id) = user_table(conn).await?;
        run(conn, format!("DELETE FROM {users} WHERE {id} = $1"), [user.into()]).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(table: &str, target: &str) -> Key {
        Key { table: table.into(), column: "x_id".into(), target: target.into() }
    }

    #[test]
    fn what_points_at_something_goes_before_it() {
        let tables = ["a", "b", "c"].map(str::to_owned).into();
        let keys = [key("a", "b"), key("b", "c"), key("b", "b")].into();
        assert_eq!(order(&tables, &keys).unwrap(), ["a", "b", "c"]);
        let circle = [key("a", "b"), key("b", "a")].into();
        assert!(order(&tables, &circle).is_err());
    }
}
