//! The services of all areas on one database.

use std::sync::Arc;

use guildhall_kernel::{Db, job::Job};

use crate::{
    Host, SqlClients, SqlCustomFields, SqlExchange, SqlLedger, SqlPipelines, SqlReports, SqlSales, SqlSavedViews,
    SqlTasks, SqlTenancy, SqlWebhooks, core::Core, sales::sql::due_tasks::DueTasks,
};

/// The SQL services, one for each area.
#[derive(Clone)]
pub struct SqlDeals {
    /// Organizations and their members.
    pub tenancy: SqlTenancy,
    /// Clients and contacts.
    pub clients: SqlClients,
    /// Pipelines, stages and boards.
    pub pipelines: SqlPipelines,
    /// Tasks and activities.
    pub tasks: SqlTasks,
    /// Deals, line items, files, the search and the trash.
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
        let clients = SqlClients { core: core.clone() };
        let sales = SqlSales { core: core.clone() };
        let tasks = SqlTasks { core: core.clone() };
        let ledger = SqlLedger { core: core.clone() };
        Self {
            tenancy: SqlTenancy { core: core.clone() },
            custom: SqlCustomFields { core: core.clone() },
            pipelines: SqlPipelines { core: core.clone() },
            views: SqlSavedViews {
                core: core.clone(),
                clients: clients.clone(),
                sales: sales.clone(),
                tasks: tasks.clone(),
                ledger: ledger.clone(),
            },
            reports: SqlReports { core: core.clone() },
            exchange: SqlExchange::new(core.clone()),
            webhooks: SqlWebhooks { core },
            clients,
            sales,
            tasks,
            ledger,
        }
    }

    /// The maintenance jobs.
    pub fn jobs(&self) -> Vec<Arc<dyn Job>> {
        vec![
            Arc::new(self.tasks.clone()),
            Arc::new(DueTasks(self.tasks.clone())),
            Arc::new(self.exchange.clone()),
            Arc::new(self.webhooks.clone()),
        ]
    }
}
