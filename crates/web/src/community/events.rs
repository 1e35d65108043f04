//! Events of groups: the list, one event, and who attends.

use askama::Template;
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use guildhall_community::{
    Answer, Attendance, Attendee, AttendeeFilter, Event, EventFilter, EventId, EventPatch, Group, GroupId, NewRsvp,
    When,
};
use guildhall_kernel::{Error, IfMatch, PageQuery, Path, Query, Result};
use serde::Deserialize;

use super::group::find;
use crate::{
    form::Submission,
    page::{ok, redirect, redirect_with},
    paging::{PageNumber, Pager},
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many of those who attend are shown beside the event.
const ASIDE: u64 = 12;

/// Which events to show.
#[derive(Deserialize)]
pub(crate) struct Shown {
    #[serde(default)]
    when: When,
}

#[derive(Template)]
#[template(path = "community/events.html")]
struct EventsPage {
    f: Frame,
    tab: &'static str,
    group: Group,
    is_owner: bool,
    is_past: bool,
    events: Vec<Event>,
    pager: Pager,
}

/// The answer of the reader to an event, as a text.
pub(crate) fn answer_name(f: &Frame, event: &Event) -> Option<String> {
    Some(f.t(match event.my_status? {
        Attendance::Going => "event-going",
        Attendance::Maybe => "event-maybe",
        Attendance::Declined => "event-declined",
        Attendance::Waiting => "event-waiting",
    }))
}

pub(crate) async fn events(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    Query(shown): Query<Shown>,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    let (group, is_owner) = find(&app, &reader, id).await?;
    let is_past = shown.when == When::Past;
    let filter = EventFilter { when: shown.when };
    let service = &app.community.events;
    let page = service.group_events(Some(reader.caller), id, filter, number.query()).await.map_err(Error::from)?;
    let f = reader.frame(&app, Place::Groups).await?;
    let kept = [("when", if is_past { "past" } else { "" })];
    let pager = Pager::new(&page, number, &format!("/groups/{id}/events/"), &kept);
    Ok(ok(&EventsPage { f, tab: "events", group, is_owner, is_past, events: page.results, pager }))
}

#[derive(Template)]
#[template(path = "community/event.html")]
struct EventPage {
    f: Frame,
    tab: &'static str,
    group: Group,
    is_owner: bool,
    event: Event,
    is_over: bool,
    going: Vec<Attendee>,
}

impl EventPage {
    /// The answers that one can give: their names, texts, and whether the reader has given them.
    fn answers(&self) -> [(&'static str, String, bool); 3] {
        let is = |status: &[Attendance]| self.event.my_status.is_some_and(|mine| status.contains(&mine));
        [
            ("going", self.f.t("event-going"), is(&[Attendance::Going, Attendance::Waiting])),
            ("maybe", self.f.t("event-maybe"), is(&[Attendance::Maybe])),
            ("declined", self.f.t("event-declined"), is(&[Attendance::Declined])),
        ]
    }

    fn is_waiting(&self) -> bool {
        self.event.my_status == Some(Attendance::Waiting)
    }

    /// Whether the reader may say that they attend. The service decides; this is for what the page offers.
    fn may_answer(&self) -> bool {
        !self.is_over && !self.event.is_cancelled && (self.group.is_member || self.event.is_public)
    }
}

/// An event with its group, and whether the reader owns that.
pub(super) async fn find_event(app: &App, reader: &Reader, id: EventId) -> Result<(Event, Group, bool)> {
    let event = app.community.events.event(Some(reader.caller), id).await.map_err(Error::from)?;
    let (group, is_owner) = find(app, reader, event.group).await?;
    Ok((event, group, is_owner))
}

async fn attendees(
    app: &App,
    reader: &Reader,
    id: EventId,
    page: PageQuery,
) -> Result<guildhall_kernel::Page<Attendee>> {
    let filter = AttendeeFilter { status: Some(Attendance::Going) };
    app.community.rsvps.attendees(&reader.caller, id, filter, page).await.map_err(Error::from)
}

pub(crate) async fn event(State(app): State<App>, Path(id): Path<EventId>, reader: Reader) -> Result<Response> {
    let (event, group, is_owner) = find_event(&app, &reader, id).await?;
    // Only members see who attends.
    let going = if group.is_member {
        attendees(&app, &reader, id, PageQuery::new(1, ASIDE)).await?.results
    } else {
        Vec::new()
    };
    let f = reader.frame(&app, Place::Groups).await?;
    let is_over = event.ends_at <= app.clock.now();
    Ok(ok(&EventPage { f, tab: "events", group, is_owner, event, is_over, going }))
}

#[derive(Template)]
#[template(path = "community/attendees.html")]
struct AttendeesPage {
    f: Frame,
    tab: &'static str,
    group: Group,
    is_owner: bool,
    event: Event,
    attendees: Vec<Attendee>,
    pager: Pager,
}

/// Who attends an event.
pub(crate) async fn people(
    State(app): State<App>,
    Path(id): Path<EventId>,
    reader: Reader,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    let (event, group, is_owner) = find_event(&app, &reader, id).await?;
    let page = attendees(&app, &reader, id, number.query()).await?;
    let pager = Pager::new(&page, number, &format!("/events/{id}/people/"), &[]);
    let f = reader.frame(&app, Place::Groups).await?;
    Ok(ok(&AttendeesPage { f, tab: "events", group, is_owner, event, attendees: page.results, pager }))
}

/// Says whether the reader attends. The answer that they have given already is withdrawn.
pub(crate) async fn answer(
    State(app): State<App>,
    Path(id): Path<EventId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let rsvps = &app.community.rsvps;
    match form.choice::<Answer>("answer")? {
        Some(status) => {
            rsvps.answer_event(&reader.caller, id, NewRsvp { status }).await.map_err(Error::from)?;
        }
        None => rsvps.withdraw_answer(&reader.caller, id).await.map_err(Error::from)?,
    }
    Ok(redirect(&format!("/events/{id}/")))
}

/// Cancels an event, or takes that back.
pub(crate) async fn cancel(
    State(app): State<App>,
    Path(id): Path<EventId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let patch = EventPatch { is_cancelled: Some(!form.is_checked("restore")), ..EventPatch::default() };
    app.community.events.change_event(&reader.caller, id, patch, IfMatch::default()).await.map_err(Error::from)?;
    Ok(redirect_with(&app, &format!("/events/{id}/"), "flash-saved"))
}

pub(crate) async fn delete(
    State(app): State<App>,
    Path(id): Path<EventId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    let (event, ..) = find_event(&app, &reader, id).await?;
    app.community.events.delete_event(&reader.caller, id, IfMatch::default()).await.map_err(Error::from)?;
    Ok(redirect_with(&app, &format!("/groups/{}/events/", event.group), "flash-deleted"))
}

/// The event as a file for calendars.
pub(crate) async fn calendar(State(app): State<App>, Path(id): Path<EventId>, reader: Reader) -> Result<Response> {
    let text = app.community.events.event_calendar(Some(reader.caller), id).await.map_err(Error::from)?;
    let disposition = format!("attachment; filename=\"event-{id}.ics\"");
    let headers = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, text).into_response())
}
