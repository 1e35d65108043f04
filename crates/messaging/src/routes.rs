//! The routes. Every answer has the member `success`.

mod attachments;
mod blocks;
mod changes;
mod conversations;
mod groups;
mod message_types;
mod messages;
mod people;
mod preferences;
mod reactions;
mod reading;
mod requests;
mod search;

use axum::{
    middleware::map_response,
    response::{IntoResponse, Response},
};
use guildhall_kernel::Problem;
use serde::Serialize;
use utoipa::{ToSchema, openapi::OpenApi};
use utoipa_axum::router::OpenApiRouter;

use crate::state::MessagingState;

/// The answer of an operation that returns nothing else.
#[derive(Serialize, ToSchema)]
#[schema(as = MessagingDone)]
pub(crate) struct Done {
    /// `true`.
    success: bool,
}

impl Done {
    pub(crate) const fn new() -> Self {
        Self { success: true }
    }
}

/// The routes of this crate. Nest them under any path.
pub fn router(state: MessagingState) -> OpenApiRouter {
    routes().with_state(state).layer(map_response(mark_problem))
}

/// The OpenAPI document of [`router`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<MessagingState> {
    OpenApiRouter::new()
        .merge(messages::routes())
        .merge(attachments::routes())
        .merge(reading::routes())
        .merge(conversations::routes())
        .merge(changes::routes())
        .merge(reactions::routes())
        .merge(groups::routes())
        .merge(requests::routes())
        .merge(blocks::routes())
        .merge(people::routes())
        .merge(message_types::routes())
        .merge(preferences::routes())
        .merge(search::routes())
}

/// Adds `"success": false` to a problem document.
async fn mark_problem(mut response: Response) -> Response {
    match response.extensions_mut().remove::<Problem>() {
        Some(mut problem) => {
            problem.extensions.insert("success".to_owned(), false.into());
            problem.into_response()
        }
        None => response,
    }
}
