//! Pages of chat rooms.

mod access;
mod changes;
mod closing;
mod invitations;
mod messages;
mod participants;
mod requests;
mod room;
mod rooms;
mod rows;
mod search;
mod settings;

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use guildhall_chat::RoomId;
use guildhall_kernel::Path;

use crate::{page::redirect, web::App};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/rooms/", get(rooms::rooms))
        .route("/rooms/new/", get(rooms::new_room_form).post(rooms::open_room))
        .route("/rooms/{id}/", get(room::room).post(messages::send))
        .route("/rooms/{id}/rows/", get(messages::rows_part))
        .route("/rooms/{id}/read/", post(messages::mark_read))
        .route("/rooms/{id}/join/", post(requests::join))
        .route("/rooms/{id}/waiting/", get(requests::waiting))
        .route("/rooms/{id}/withdraw/", post(requests::withdraw))
        .route("/rooms/{id}/requests/", get(requests::requests))
        .route("/rooms/{id}/requests/{request}/approve/", post(requests::approve))
        .route("/rooms/{id}/requests/{request}/deny/", post(requests::deny))
        .route("/rooms/{id}/people/", get(participants::participants).post(invitations::invite))
        .route("/rooms/{id}/people/{user}/", post(participants::change))
        .route("/rooms/{id}/invite/", get(invitations::search))
        .route("/rooms/{id}/settings/", get(settings::settings).post(settings::change))
        .route("/rooms/{id}/close/", get(closing::closing).post(closing::close))
        .route("/rooms/{id}/leave/", post(closing::leave))
        .route("/rooms/{id}/search/", get(search::search))
        .route("/rooms/{id}/messages/{message}/", get(changes::message))
        .route("/rooms/{id}/messages/{message}/file/", get(messages::file))
        .route("/rooms/{id}/messages/{message}/edit/", post(changes::edit))
        .route("/rooms/{id}/messages/{message}/delete/", post(changes::delete))
        .route("/rooms/{id}/messages/{message}/react/", post(changes::react))
        .route("/rooms/{id}/messages/{message}/pin/", post(changes::pin))
        .route("/chat/{id}/", get(target))
}

/// The address of a room in notifications.
async fn target(Path(id): Path<RoomId>) -> Response {
    redirect(&access::base(id))
}
