//! RSVPs to events.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageQuery, Path, Problem, Query, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    events::{Attendee, AttendeeFilter, NewRsvp, Rsvp, Rsvps},
    id::EventId,
    state::CommunityState,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().routes(routes!(answer_event, withdraw_answer)).routes(routes!(attendees))
}

/// Set the caller's RSVP. If the event is full, the caller is added to the waiting list.
#[utoipa::path(put, path = "/events/{id}/rsvp/", tag = "events",
    responses((status = 200, body = Rsvp), (status = 409, description = "`event_cancelled`", body = Problem)),
)]
async fn answer_event(
    State(rsvps): State<Arc<dyn Rsvps>>,
    caller: Caller,
    Path(id): Path<EventId>,
    Json(new): Json<NewRsvp>,
) -> Result<Json<Rsvp>> {
    Ok(Json(rsvps.answer_event(&caller, id, new).await?))
}

/// Withdraw the caller's RSVP. A spot that becomes free goes to the first on the waiting list.
#[utoipa::path(delete, path = "/events/{id}/rsvp/", tag = "events", responses((status = 204)))]
async fn withdraw_answer(
    State(rsvps): State<Arc<dyn Rsvps>>,
    caller: Caller,
    Path(id): Path<EventId>,
) -> Result<StatusCode> {
    rsvps.withdraw_answer(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the RSVPs to an event. Only members of the group may. Sorts by `since`, `id`.
#[utoipa::path(get, path = "/events/{id}/attendees/", tag = "events",
    responses((status = 200, body = Page<Attendee>), (status = 403, description = "`not_member`", body = Problem)),
)]
async fn attendees(
    State(rsvps): State<Arc<dyn Rsvps>>,
    caller: Caller,
    Path(id): Path<EventId>,
    Query(filter): Query<AttendeeFilter>,
    page: PageQuery,
) -> Result<Json<Page<Attendee>>> {
    Ok(Json(rsvps.attendees(&caller, id, filter, page).await?))
}
