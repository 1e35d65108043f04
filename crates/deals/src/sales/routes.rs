//! The routes.

pub(crate) mod activities;
mod board;
pub(crate) mod clients;
mod contacts;
pub(crate) mod deals;
pub(crate) mod files;
mod lines;
mod merge;
mod pipelines;
mod search;
mod stages;
mod tasks;
mod trash;

use utoipa_axum::router::OpenApiRouter;

use crate::state::DealsState;

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .merge(activities::routes())
        .merge(board::routes())
        .merge(clients::routes())
        .merge(contacts::routes())
        .merge(deals::routes())
        .merge(files::routes())
        .merge(lines::routes())
        .merge(merge::routes())
        .merge(pipelines::routes())
        .merge(search::routes())
        .merge(stages::routes())
        .merge(tasks::routes())
        .merge(trash::routes())
}
