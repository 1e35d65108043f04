use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, Tagged};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::CommunityState;
use crate::{
    Attendee, AttendeeFilter, Event, EventFilter, EventId, EventPatch, Events, GroupId, NewEvent, NewRsvp, Rsvp,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .routes(routes!(group_events, create_event))
        .routes(routes!(my_events))
        .routes(routes!(event, change_event, delete_event))
        .routes(routes!(answer_event, withdraw_answer))
        .routes(routes!(attendees))
        .routes(routes!(event_calendar))
}

/// The events of a group that the caller may know of. Sorts by `starts_at`, `id`; past ones the other way round.
#[utoipa::path(get, path = "/groups/{id}/events/", tag = "events",
    params(("id" = GroupId, Path), EventFilter, PageParams),
    responses(
        (status = 200, body = Page<Event>),
        (status = "4XX", body = Problem),
    ),
)]
async fn group_events(
    State(events): State<Arc<dyn Events>>,
    caller: Option<Caller>,
    Path(id): Path<GroupId>,
    Query(filter): Query<EventFilter>,
    page: PageQuery,
) -> Result<Json<Page<Event>>> {
    Ok(Json(events.group_events(caller, id, filter, page).await?))
}

/// Announce an event of a group; moderators do.
#[utoipa::path(post, path = "/groups/{id}/events/", tag = "events", params(("id" = GroupId, Path)), responses(
    (status = 201, body = Event, headers(("ETag" = String, description = "The version"))),
    (status = 403, description = "`not_moderator`, `not_member`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn create_event(
    State(events): State<Arc<dyn Events>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(new): Json<NewEvent>,
) -> Result<(StatusCode, Tagged<Event>)> {
    let event = events.create_event(&caller, id, new).await?;
    Ok((StatusCode::CREATED, Tagged(event.updated_at.into(), event)))
}

/// The events of the caller's groups that have not ended. Sorts by `starts_at`, `id`.
#[utoipa::path(get, path = "/events/", tag = "events", params(PageParams), responses(
    (status = 200, body = Page<Event>),
    (status = "4XX", body = Problem),
))]
async fn my_events(
    State(events): State<Arc<dyn Events>>,
    caller: Caller,
    page: PageQuery,
) -> Result<Json<Page<Event>>> {
    Ok(Json(events.my_events(&caller, page).await?))
}

/// An event; a public one of a public group without signing in, if the settings say so.
#[utoipa::path(get, path = "/events/{id}/", tag = "events", params(("id" = EventId, Path)), responses(
    (status = 200, body = Event, headers(("ETag" = String, description = "The version; answers do not change it"))),
    (status = "4XX", body = Problem),
))]
async fn event(
    State(events): State<Arc<dyn Events>>,
    caller: Option<Caller>,
    Path(id): Path<EventId>,
) -> Result<Tagged<Event>> {
    let event = events.event(caller, id).await?;
    Ok(Tagged(event.updated_at.into(), event))
}

/// Change or cancel an event, for moderators of its group. Where there are more places then, those who have
/// waited longest get them; fewer than are taken is 400.
#[utoipa::path(patch, path = "/events/{id}/", tag = "events",
    params(
        ("id" = EventId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Event, headers(("ETag" = String, description = "The version"))),
        (status = 403, description = "`not_moderator`, `not_member`", body = Problem),
        (status = "4XX", body = Problem),
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

/// Remove an event with all answers, for moderators of its group.
#[utoipa::path(delete, path = "/events/{id}/", tag = "events",
    params(
        ("id" = EventId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 204),
        (status = 403, description = "`not_moderator`, `not_member`", body = Problem),
        (status = "4XX", body = Problem),
    ),
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

/// Say whether the caller comes. Whoever would, but finds no place, waits for one.
#[utoipa::path(put, path = "/events/{id}/rsvp/", tag = "events", params(("id" = EventId, Path)), responses(
    (status = 200, body = Rsvp),
    (status = 409, description = "`event_cancelled`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn answer_event(
    State(events): State<Arc<dyn Events>>,
    caller: Caller,
    Path(id): Path<EventId>,
    Json(new): Json<NewRsvp>,
) -> Result<Json<Rsvp>> {
    Ok(Json(events.answer_event(&caller, id, new).await?))
}

/// Take the caller's answer back; a place that they had goes to whoever has waited longest.
#[utoipa::path(delete, path = "/events/{id}/rsvp/", tag = "events", params(("id" = EventId, Path)), responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn withdraw_answer(
    State(events): State<Arc<dyn Events>>,
    caller: Caller,
    Path(id): Path<EventId>,
) -> Result<StatusCode> {
    events.withdraw_answer(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who has answered, for those in the group. Sorts by `since`, `id`.
#[utoipa::path(get, path = "/events/{id}/attendees/", tag = "events",
    params(("id" = EventId, Path), AttendeeFilter, PageParams),
    responses(
        (status = 200, body = Page<Attendee>),
        (status = 403, description = "`not_member`", body = Problem),
        (status = "4XX", body = Problem),
    ),
)]
async fn attendees(
    State(events): State<Arc<dyn Events>>,
    caller: Caller,
    Path(id): Path<EventId>,
    Query(filter): Query<AttendeeFilter>,
    page: PageQuery,
) -> Result<Json<Page<Attendee>>> {
    Ok(Json(events.attendees(&caller, id, filter, page).await?))
}

/// An event as a file for calendars (iCalendar).
#[utoipa::path(get, path = "/events/{id}/calendar.ics", tag = "events", params(("id" = EventId, Path)), responses(
    (status = 200, content_type = "text/calendar", body = String),
    (status = "4XX", body = Problem),
))]
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
