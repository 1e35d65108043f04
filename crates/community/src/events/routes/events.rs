//! Events of groups.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageQuery, Path, Problem, Query, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    events::{Event, EventFilter, EventPatch, Events, NewEvent},
    id::{EventId, GroupId},
    state::CommunityState,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .routes(routes!(group_events, create_event))
        .routes(routes!(my_events))
        .routes(routes!(event, change_event, delete_event))
        .routes(routes!(event_calendar))
}

/// List the events of a group that are visible to the caller. Sorts by `starts_at`, `id`; past events latest first.
#[utoipa::path(get, path = "/groups/{id}/events/", tag = "events", responses((status = 200, body = Page<Event>)))]
async fn group_events(
    State(events): State<Arc<dyn Events>>,
    caller: Option<Caller>,
    Path(id): Path<GroupId>,
    Query(filter): Query<EventFilter>,
    page: PageQuery,
) -> Result<Json<Page<Event>>> {
    Ok(Json(events.group_events(caller, id, filter, page).await?))
}

/// Create an event in a group. Only moderators may.
#[utoipa::path(post, path = "/groups/{id}/events/", tag = "events",
    responses(
        (status = 201, body = Event),
        (status = 403, description = "`not_moderator`, `not_member`", body = Problem),
    ),
)]
async fn create_event(
    State(events): State<Arc<dyn Events>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(new): Json<NewEvent>,
) -> Result<(StatusCode, Tagged<Event>)> {
    let event = events.create_event(&caller, id, new).await?;
    Ok((StatusCode::CREATED, Tagged(event.updated_at.into(), event)))
}

/// List the events of the caller's groups that have not ended. Sorts by `starts_at`, `id`.
#[utoipa::path(get, path = "/events/", tag = "events", responses((status = 200, body = Page<Event>)))]
async fn my_events(
    State(events): State<Arc<dyn Events>>,
    caller: Caller,
    page: PageQuery,
) -> Result<Json<Page<Event>>> {
    Ok(Json(events.my_events(&caller, page).await?))
}

/// Get an event.
///
/// Without a token, public events of public groups can be read if the settings allow anonymous reading.
#[utoipa::path(get, path = "/events/{id}/", tag = "events", responses((status = 200, body = Event)))]
async fn event(
    State(events): State<Arc<dyn Events>>,
    caller: Option<Caller>,
    Path(id): Path<EventId>,
) -> Result<Tagged<Event>> {
    let event = events.event(caller, id).await?;
    Ok(Tagged(event.updated_at.into(), event))
}

/// Change or cancel an event. Only moderators of its group may.
///
/// If the capacity grows, the free spots go to the waiting list in order. It cannot be less than the number of
/// attendees.
#[utoipa::path(patch, path = "/events/{id}/", tag = "events",
    responses(
        (status = 200, body = Event),
        (status = 403, description = "`not_moderator`, `not_member`", body = Problem),
    ),
)]
async fn change_event(
    State(events): State<Arc<dyn Events>>,
    caller: Caller,
    Path(id): Path<EventId>,
    known: IfMatch,
    Json(patch): Json<EventPatch>,
) -> Result<Tagged<Event>> {
    let event = events.change_event(&caller, id, patch, known).await?;
    Ok(Tagged(event.updated_at.into(), event))
}

/// Delete an event with all RSVPs. Only moderators of its group may.
#[utoipa::path(delete, path = "/events/{id}/", tag = "events",
    responses((status = 204), (status = 403, description = "`not_moderator`, `not_member`", body = Problem)),
)]
async fn delete_event(
    State(events): State<Arc<dyn Events>>,
    caller: Caller,
    Path(id): Path<EventId>,
    known: IfMatch,
) -> Result<StatusCode> {
    events.delete_event(&caller, id, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get an event as an iCalendar file.
#[utoipa::path(get, path = "/events/{id}/calendar.ics", tag = "events",
    responses((status = 200, content_type = "text/calendar", body = String)),
)]
async fn event_calendar(
    State(events): State<Arc<dyn Events>>,
    caller: Option<Caller>,
    Path(id): Path<EventId>,
) -> Result<Response> {
    let file = events.event_calendar(caller, id).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"event-{id}.ics\"")),
    ];
    Ok((headers, file).into_response())
}
