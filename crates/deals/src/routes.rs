//! The routes of all areas: `/organizations/…`, and the compatibility routes, whose paths name no organization.

mod strict;
pub(crate) mod target;

use std::sync::Arc;

use axum::{
    extract::FromRef,
    response::{IntoResponse, Response},
};
use guildhall_files::Files;
use guildhall_kernel::{Auth, Json, PublicUrl, Tagged, Timestamp, openapi::OperationOutput};
use serde::Deserialize;
use utoipa::{
    IntoParams,
    openapi::{OpenApi, path::Operation},
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Activities, Boards, Clients, Contacts, CustomFields, Deal, DealFiles, Deals, Exports, Imports, Invitations,
    LineItems, Members, Merges, Organizations, Payments, Pipelines, Reports, Roles, SavedViews, Search, SqlDeals,
    Stages, Tasks, Teams, Trash, Webhooks, compat, custom, exchange, ledger, reports, sales, tenancy, views, webhooks,
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
        let sales = Arc::new(deals.sales.clone());
        let exchange = Arc::new(deals.exchange.clone());
        Self {
            organizations: tenancy.clone(),
            members: tenancy.clone(),
            roles: tenancy.clone(),
            teams: tenancy.clone(),
            invitations: tenancy,
            clients: sales.clone(),
            merges: sales.clone(),
            contacts: sales.clone(),
            deals: sales.clone(),
            line_items: sales.clone(),
            deal_files: sales.clone(),
            pipelines: sales.clone(),
            stages: sales.clone(),
            boards: sales.clone(),
            activities: sales.clone(),
            tasks: sales.clone(),
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

/// The routes of this crate, which the host may nest under any path.
pub fn router(state: DealsState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The OpenAPI description of [`router`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<DealsState> {
    let router = OpenApiRouter::new()
        .merge(tenancy::routes())
        .merge(sales::routes())
        .merge(ledger::routes())
        .merge(custom::routes())
        .merge(views::routes())
        .merge(webhooks::routes())
        .merge(reports::routes())
        .merge(exchange::routes())
        .merge(compat::routes());
    strict::refuse_unknown_parameters(router)
}

/// How an object is deleted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Removal {
    /// Purge it instead of moving it to the trash.
    #[serde(default)]
    pub(crate) purge: bool,
    /// The token of the preview.
    pub(crate) token: Option<String>,
}

/// The time at which an object is shown.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Moment {
    /// Show the object as it was at this time.
    pub(crate) as_of: Option<Timestamp>,
}

impl Moment {
    /// Responds with a deal.
    pub(crate) fn show(&self, deal: Deal) -> DealAt {
        match self.as_of {
            Some(_) => DealAt::Earlier(Json(deal)),
            None => DealAt::Current(Tagged(deal.updated_at.into(), deal)),
        }
    }
}

/// A deal now or earlier. Only the current version has an `ETag`, since an earlier one cannot be changed.
pub(crate) enum DealAt {
    Current(Tagged<Deal>),
    Earlier(Json<Deal>),
}

impl IntoResponse for DealAt {
    fn into_response(self) -> Response {
        match self {
            Self::Current(deal) => deal.into_response(),
            Self::Earlier(deal) => deal.into_response(),
        }
    }
}

impl OperationOutput for DealAt {
    fn describe(operation: &mut Operation) {
        Tagged::<Deal>::describe(operation);
    }
}
