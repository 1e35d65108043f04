//! The services of all areas on one database.

use std::sync::Arc;

use guildhall_kernel::{Db, doctor::Finding, job::Job};

use crate::{
    Host, Result, SqlCustomFields, SqlExchange, SqlLedger, SqlReports, SqlSales, SqlSavedViews, SqlTenancy,
    SqlWebhooks, core::Core,
};

/// The SQL services, one for each area.
#[derive(Clone)]
pub struct SqlDeals {
    /// Organizations and their members.
    pub tenancy: SqlTenancy,
    /// Clients, deals, tasks and activities.
    pub sales: SqlSales,
    /// Payments.
    pub ledger: SqlLedger,
    /// Custom fields.
    pub custom: SqlCustomFields,
    /// Saved views.
    pub views: SqlSavedViews,
    /// Reports.
    pub reports: SqlReports,
    /// Imports and exports.
    pub exchange: SqlExchange,
    /// Webhooks.
    pub webhooks: SqlWebhooks,
}

impl SqlDeals {
    /// Creates the services on a database that has been migrated.
    pub fn new(db: Db, host: Host) -> Self {
        let core = Core::new(db, host);
        let sales = SqlSales { core: core.clone() };
        let ledger = SqlLedger { core: core.clone() };
        Self {
            tenancy: SqlTenancy { core: core.clone() },
            custom: SqlCustomFields { core: core.clone() },
            views: SqlSavedViews { core: core.clone(), sales: sales.clone(), ledger: ledger.clone() },
            reports: SqlReports { core: core.clone() },
            exchange: SqlExchange::new(core.clone(), sales.clone()),
            webhooks: SqlWebhooks { core },
            sales,
            ledger,
        }
    }

    /// The maintenance jobs.
    pub fn jobs(&self) -> Vec<Arc<dyn Job>> {
        vec![Arc::new(self.sales.clone()), Arc::new(self.exchange.clone()), Arc::new(self.webhooks.clone())]
    }

    /// Compares counters and stored totals with the rows that they count; `fix` repairs them.
    pub async fn examine(&self, fix: bool) -> Result<Vec<Finding>> {
        let mut findings = self.reports.core.examine_rollups(fix).await?;
        findings.extend(self.ledger.examine(fix).await?);
        Ok(findings)
    }
}
