//! The deletion of whole organizations.

use guildhall_kernel::{AccountCleanup, UserId, db::Tx, text};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Query},
};

use crate::{
    CleanedUp, Error, OrganizationId, Result, SqlTenancy,
    entity::{deal, member, organization},
    event::OrganizationDeleted,
};

/// The table that all others of an organization refer to.
const ROOT: &str = "deals_organization";
/// The tables with rows of an organization. A table that refers to another one comes before it.
const TABLES: [&str; 26] = [
    "deals_counter",
    "deals_view",
    "deals_delivery",
    "deals_webhook",
    "deals_task",
    "deals_activity",
    "deals_file",
    "deals_line",
    "deals_custom_value",
    "deals_custom_field",
    "deals_stage_change",
    "deals_commission",
    "deals_revenue",
    "deals_payment",
    "deals_rollup",
    "deals_deal",
    "deals_stage",
    "deals_pipeline",
    "deals_contact",
    "deals_merged_client",
    "deals_client",
    "deals_deletion",
    "deals_import",
    "deals_member",
    "deals_role",
    "deals_team",
];
/// The columns in which rows of a table refer to other rows of it.
const SELF_REFERENCES: [(&str, &str); 2] = [("deals_payment", "of_id"), ("deals_team", "parent_id")];

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

impl SqlTenancy {
    /// Deletes an organization and everything in it. Returns the number of deleted rows per table.
    pub(crate) async fn delete_all(&self, tx: &Tx, org: OrganizationId) -> Result<Vec<(String, u64)>> {
        let mut counts = Vec::new();
        for table in TABLES {
            let mut rows = Query::delete().from_table(table).and_where(Expr::col("org_id").eq(org)).take();
            let reference = SELF_REFERENCES.iter().find(|(own, _)| *own == table);
            if let Some((_, column)) = reference {
                // Rows that other rows refer to are deleted in a later pass.
                let referenced = Query::select()
                    .column(*column)
                    .from(table)
                    .and_where(Expr::col("org_id").eq(org))
                    .and_where(Expr::col(*column).is_not_null())
                    .take();
                rows.and_where(Expr::col("id").not_in_subquery(referenced));
            }
            let mut count = 0;
            loop {
                let deleted = tx.execute(&rows).await?.rows_affected();
                count += deleted;
                if deleted == 0 || reference.is_none() {
                    break;
                }
            }
            counts.push((table.to_owned(), count));
        }
        let deleted = organization::Entity::delete_by_id(org).exec(tx).await?.rows_affected;
        tx.emit(&OrganizationDeleted { organization_id: org }).await?;
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
                deals += deal::Entity::find().filter(deal::COLUMN.org_id.eq(org.id)).count(&tx).await?;
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
        if dry_run { self.core.db.dry_run(operation).await } else { self.core.db.write(operation).await }
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
    use std::collections::BTreeSet;

    use guildhall_kernel::{
        db::{self, Sql},
        testing::TestDb,
    };
    use sea_orm::FromQueryResult;

    use super::*;
    use crate::migrations::with_host_users;

    /// The foreign keys between tables, one row per column.
    const KEYS: Sql = Sql::per_backend(
        "SELECT t.name AS \"own\", k.\"from\" AS \"column\", k.\"table\" AS \"target\" \
         FROM pragma_table_list t, pragma_foreign_key_list(t.name) k WHERE t.schema = 'main' AND t.type = 'table'",
        "SELECT c.conrelid::regclass::text AS \"own\", a.attname::text AS \"column\", \
         c.confrelid::regclass::text AS \"target\" \
         FROM pg_constraint c CROSS JOIN LATERAL unnest(c.conkey) AS k (number) \
         JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number \
         WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace",
    );

    #[derive(FromQueryResult)]
    struct ForeignKey {
        own: String,
        column: String,
        target: String,
    }

    #[test]
    fn every_table_is_listed() {
        let described: BTreeSet<String> = crate::admin().into_iter().map(|model| model.table).collect();
        let listed: BTreeSet<String> = TABLES.into_iter().chain([ROOT]).map(str::to_owned).collect();
        assert_eq!(listed, described);
    }

    #[tokio::test]
    async fn referencing_tables_come_first() {
        let db = TestDb::new(with_host_users).await;
        let position = |name: &str| TABLES.iter().position(|table| *table == name);
        let mut self_references = BTreeSet::new();
        for ForeignKey { own, column, target } in db::rows(db.conn(), KEYS, []).await.unwrap() {
            let (Some(from), Some(to)) = (position(&own), position(&target)) else { continue };
            assert!(from <= to, "{own}.{column} refers to {target}");
            if from == to && column != "org_id" {
                self_references.insert((own, column));
            }
        }
        let listed = SELF_REFERENCES.map(|(table, column)| (table.to_owned(), column.to_owned()));
        assert_eq!(self_references, listed.into());
    }
}
