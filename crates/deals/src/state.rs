//! The state of the routes.

use std::sync::Arc;

use axum::extract::FromRef;
use guildhall_files::Files;
use guildhall_kernel::{Auth, PublicUrl};

use crate::{
    Activities, Boards, Clients, Contacts, CustomFields, DealFiles, Deals, Exports, Imports, Invitations, LineItems,
    Members, Merges, Organizations, Payments, Pipelines, Reports, Roles, SavedViews, Search, SqlDeals, Stages, Tasks,
    Teams, Trash, Webhooks,
};

/// The state of the routes.
#[derive(Clone, FromRef)]
pub struct DealsState {
    /// Organizations.
    pub organizations: Arc<dyn Organizations>,
    /// Members of organizations.
    pub members: Arc<dyn Members>,
    /// Roles of members.
    pub roles: Arc<dyn Roles>,
    /// Teams of members.
    pub teams: Arc<dyn Teams>,
    /// Invitations to organizations.
    pub invitations: Arc<dyn Invitations>,
    /// Clients.
    pub clients: Arc<dyn Clients>,
    /// Merging of duplicate clients.
    pub merges: Arc<dyn Merges>,
    /// Contacts of clients.
    pub contacts: Arc<dyn Contacts>,
    /// Deals.
    pub deals: Arc<dyn Deals>,
    /// Line items of deals.
    pub line_items: Arc<dyn LineItems>,
    /// Files of deals and receipts of payments.
    pub deal_files: Arc<dyn DealFiles>,
    /// Pipelines.
    pub pipelines: Arc<dyn Pipelines>,
    /// Stages of pipelines.
    pub stages: Arc<dyn Stages>,
    /// Boards of pipelines.
    pub boards: Arc<dyn Boards>,
    /// Activities with clients.
    pub activities: Arc<dyn Activities>,
    /// Tasks.
    pub tasks: Arc<dyn Tasks>,
    /// The search.
    pub search: Arc<dyn Search>,
    /// Deleted clients, deals and contacts.
    pub trash: Arc<dyn Trash>,
    /// Payments.
    pub payments: Arc<dyn Payments>,
    /// Custom fields.
    pub custom_fields: Arc<dyn CustomFields>,
    /// Saved views.
    pub saved_views: Arc<dyn SavedViews>,
    /// Webhooks.
    pub webhooks: Arc<dyn Webhooks>,
    /// Reports.
    pub reports: Arc<dyn Reports>,
    /// Imports.
    pub imports: Arc<dyn Imports>,
    /// Exports.
    pub exports: Arc<dyn Exports>,
    /// The file store, for the limit on the size of uploads.
    pub files: Files,
    /// Authentication of callers.
    pub auth: Auth,
    /// The public URL that the absolute URLs of lists begin with.
    pub url: PublicUrl,
}

impl DealsState {
    /// Creates the state from the services. `auth` authenticates callers; `url` is the public URL of the host.
    pub fn new(deals: &SqlDeals, auth: Auth, url: PublicUrl) -> Self {
        let tenancy = Arc::new(deals.tenancy.clone());
        let clients = Arc::new(deals.clients.clone());
        let pipelines = Arc::new(deals.pipelines.clone());
        let sales = Arc::new(deals.sales.clone());
        let tasks = Arc::new(deals.tasks.clone());
        let exchange = Arc::new(deals.exchange.clone());
        Self {
            organizations: tenancy.clone(),
            members: tenancy.clone(),
            roles: tenancy.clone(),
            teams: tenancy.clone(),
            invitations: tenancy,
            clients: clients.clone(),
            merges: clients.clone(),
            contacts: clients,
            deals: sales.clone(),
            line_items: sales.clone(),
            deal_files: sales.clone(),
            pipelines: pipelines.clone(),
            stages: pipelines.clone(),
            boards: pipelines,
            activities: tasks.clone(),
            tasks,
            search: sales.clone(),
            trash: sales,
            payments: Arc::new(deals.ledger.clone()),
            custom_fields: Arc::new(deals.custom.clone()),
            saved_views: Arc::new(deals.views.clone()),
            webhooks: Arc::new(deals.webhooks.clone()),
            reports: Arc::new(deals.reports.clone()),
            imports: exchange.clone(),
            exports: exchange,
            files: deals.sales.core.host.files.clone(),
            auth,
            url,
        }
    }
}
