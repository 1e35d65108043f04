//! The routes: `/organizations/…`, and the short paths that name no organization.

mod clients;
mod custom;
mod deals;
mod exchange;
mod invitations;
mod known;
mod lines;
mod members;
mod organizations;
mod payments;
mod pipelines;
mod reports;
mod short;
mod views;
mod webhooks;
mod work;

use std::sync::Arc;

use axum::{
    extract::FromRef,
    response::{IntoResponse, Response},
};
use guildhall_kernel::{Auth, Json, PublicUrl, Tagged, Timestamp, file::Files};
use serde::Deserialize;
use utoipa::{IntoParams, openapi::OpenApi};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Clients, CustomFields, Deal, DealFiles, Deals, Exchange, Invitations, Lines, Members, Organizations, Payments,
    Pipelines, Reports, SqlDeals, Trash, Views, Webhooks, Work,
};

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct DealsState {
    /// Tenants.
    pub organizations: Arc<dyn Organizations>,
    /// Who is in them.
    pub members: Arc<dyn Members>,
    /// How people get in, and out again.
    pub invitations: Arc<dyn Invitations>,
    /// Clients and the people there.
    pub clients: Arc<dyn Clients>,
    /// Deals.
    pub deals: Arc<dyn Deals>,
    /// The stages that they go through.
    pub pipelines: Arc<dyn Pipelines>,
    /// What was paid for them.
    pub payments: Arc<dyn Payments>,
    /// What deals are made up of.
    pub lines: Arc<dyn Lines>,
    /// Files about them.
    pub deal_files: Arc<dyn DealFiles>,
    /// Fields of organizations' own.
    pub fields: Arc<dyn CustomFields>,
    /// Lists as people want to see them again.
    pub views: Arc<dyn Views>,
    /// Addresses that are told what happens.
    pub webhooks: Arc<dyn Webhooks>,
    /// What was done with clients, and what is to be done.
    pub work: Arc<dyn Work>,
    /// Sums.
    pub reports: Arc<dyn Reports>,
    /// Tables that come and go.
    pub exchange: Arc<dyn Exchange>,
    /// Where files are kept: says how large one may be.
    pub files: Files,
    /// What was deleted.
    pub trash: Arc<dyn Trash>,
    /// Who is asking.
    pub auth: Auth,
    /// What the absolute URLs of lists begin with.
    pub url: PublicUrl,
}

impl DealsState {
    /// The services on a database, asked by whoever `auth` knows; `url` is what clients reach the host as.
    pub fn new(deals: &SqlDeals, auth: Auth, url: PublicUrl) -> Self {
        let all = Arc::new(deals.clone());
        Self {
            organizations: all.clone(),
            members: all.clone(),
            invitations: all.clone(),
            clients: all.clone(),
            deals: all.clone(),
            pipelines: all.clone(),
            payments: all.clone(),
            lines: all.clone(),
            deal_files: all.clone(),
            fields: all.clone(),
            views: all.clone(),
            webhooks: all.clone(),
            work: all.clone(),
            reports: all.clone(),
            exchange: all.clone(),
            files: deals.files().clone(),
            trash: all,
            auth,
            url,
        }
    }
}

/// The routes of this crate, to be nested wherever the host likes.
pub fn router(state: DealsState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The description of [`router`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<DealsState> {
    let all = OpenApiRouter::new()
        .merge(organizations::routes())
        .merge(members::routes())
        .merge(invitations::routes())
        .merge(clients::routes())
        .merge(pipelines::routes())
        .merge(deals::routes())
        .merge(payments::routes())
        .merge(lines::routes())
        .merge(custom::routes())
        .merge(views::routes())
        .merge(webhooks::routes())
        .merge(work::routes())
        .merge(reports::routes())
        .merge(exchange::routes())
        .merge(short::routes());
    known::only_known(all)
}

/// How something goes.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Removal {
    /// For good, and not into the trash.
    #[serde(default)]
    purge: bool,
    /// The token of a preview.
    token: Option<String>,
}

/// Which moment is asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Moment {
    /// As it was then.
    as_of: Option<Timestamp>,
}

impl Moment {
    /// A deal with its version; what it was once has none that could be changed.
    fn show(&self, deal: Deal) -> Response {
        match self.as_of {
            Some(_) => Json(deal).into_response(),
            None => Tagged(deal.updated_at.into(), deal).into_response(),
        }
    }
}
