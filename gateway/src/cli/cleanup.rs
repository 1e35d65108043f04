//! `guildhall cleanup-test-data`.

use anyhow::bail;
use clap::Args;
use guildhall_deals::{OrganizationId, OrganizationSelector};
use guildhall_kernel::{AccountCleanup, Error};

use super::print_line;
use crate::wiring::Services;

#[derive(Args)]
pub(super) struct Command {
    /// The organization with this name
    #[arg(long, value_name = "NAME", conflicts_with = "org_id")]
    org_name: Option<String>,
    /// The organization with this ID
    #[arg(long, value_name = "ID")]
    org_id: Option<i64>,
    /// Also delete members' accounts that nothing else needs; never staff accounts
    #[arg(long)]
    with_users: bool,
    /// Print what would be deleted, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Also delete organizations that have deals
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(super) async fn run(self, services: &Services) -> anyhow::Result<()> {
        let selector = match (self.org_name, self.org_id) {
            (Some(name), _) => OrganizationSelector::Named(name),
            (None, Some(id)) => OrganizationSelector::Id(OrganizationId(id)),
            (None, None) => OrganizationSelector::Tests,
        };
        let accounts = self.with_users.then_some(&services.accounts as &dyn AccountCleanup);
        let tenancy = &services.deals.tenancy;
        let outcome = tenancy.clean_up(&selector, accounts, self.dry_run, self.force).await.map_err(Error::from)?;
        let cleaned = match outcome {
            Ok(cleaned) => cleaned,
            Err(refusal) => bail!(refusal),
        };
        if self.json {
            return print_line(serde_json::to_string_pretty(&cleaned)?);
        }
        if cleaned.is_empty() {
            print_line("Nothing to clean up.")?;
        }
        for organization in &cleaned {
            let verb = if self.dry_run { "would be deleted" } else { "was deleted" };
            print_line(format_args!("{} (ID {}) {verb}:", organization.name, organization.id))?;
            for (table, count) in &organization.rows {
                print_line(format_args!("{count:>10} {table}"))?;
            }
            if !organization.users.is_empty() {
                print_line(format_args!("{:>10} accounts", organization.users.len()))?;
            }
        }
        Ok(())
    }
}
