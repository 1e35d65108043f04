//! Creating and changing events.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_community::{Event, EventId, EventPatch, Group, GroupId, NewEvent};
use guildhall_kernel::{Error, IfMatch, Kind, Path, Result, Timestamp};

use super::{events::find_event, group::find};
use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, redirect_with, show},
    reader::{Frame, Place, Reader},
    view::View,
    web::App,
};

/// The fields of the form, as they were entered.
#[derive(Default)]
struct Fields {
    title: String,
    description: String,
    location: String,
    url: String,
    starts_at: String,
    ends_at: String,
    capacity: String,
    is_public: bool,
}

impl Fields {
    fn of(view: &View, event: &Event) -> Self {
        Self {
            title: event.title.clone(),
            description: event.description.clone(),
            location: event.location.clone(),
            url: event.url.clone(),
            starts_at: view.field_time(event.starts_at),
            ends_at: view.field_time(event.ends_at),
            capacity: event.capacity.map(|capacity| capacity.to_string()).unwrap_or_default(),
            is_public: event.is_public,
        }
    }

    fn entered(form: &Submission) -> Self {
        let text = |name: &str| form.text(name).trim().to_owned();
        Self {
            title: text("title"),
            description: form.text("description").to_owned(),
            location: text("location"),
            url: text("url"),
            starts_at: text("starts_at"),
            ends_at: text("ends_at"),
            capacity: text("capacity"),
            is_public: form.is_checked("is_public"),
        }
    }

    fn capacity(&self) -> Result<Option<i64>> {
        let number = (!self.capacity.is_empty()).then(|| self.capacity.parse()).transpose();
        number.map_err(|_| Error::field("capacity", "A valid number is required."))
    }

    /// The event to create.
    ///
    /// # Errors
    /// If a time or number is something else.
    fn new_event(&self, view: &View) -> Result<NewEvent> {
        Ok(NewEvent {
            title: self.title.clone(),
            description: self.description.clone(),
            location: self.location.clone(),
            url: self.url.clone(),
            starts_at: time(view, "starts_at", &self.starts_at)?,
            ends_at: time(view, "ends_at", &self.ends_at)?,
            capacity: self.capacity()?,
            is_public: self.is_public,
        })
    }

    /// The change of an event. Times that were not changed keep their seconds.
    fn patch(&self, view: &View, event: &Event) -> Result<EventPatch> {
        let changed = |name: &str, text: &str, known: Timestamp| {
            if view.field_time(known) == text { Ok(None) } else { time(view, name, text).map(Some) }
        };
        Ok(EventPatch {
            title: Some(self.title.clone()),
            description: Some(self.description.clone()),
            location: Some(self.location.clone()),
            url: Some(self.url.clone()),
            starts_at: changed("starts_at", &self.starts_at, event.starts_at)?,
            ends_at: changed("ends_at", &self.ends_at, event.ends_at)?,
            capacity: Some(self.capacity()?),
            is_public: Some(self.is_public),
            is_cancelled: None,
        })
    }
}

/// A time in the time zone of the reader.
fn time(view: &View, field: &str, text: &str) -> Result<Timestamp> {
    view.read_time(text).ok_or_else(|| Error::field(field, view.t("field-time")))
}

#[derive(Template)]
#[template(path = "community/event_form.html")]
struct EventForm {
    f: Frame,
    tab: &'static str,
    group: Group,
    is_owner: bool,
    e: FormErrors,
    fields: Fields,
    /// The event that is changed.
    event: Option<EventId>,
}

async fn form_page(
    app: &App,
    reader: &Reader,
    (group, is_owner): (Group, bool),
    (e, fields, event): (FormErrors, Fields, Option<EventId>),
) -> Result<Response> {
    if !group.is_moderator && !reader.caller.roles.is_staff() {
        return Err(Error::new(Kind::Forbidden, "not_moderator", "Only moderators of the group can do this."));
    }
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let f = reader.frame(app, Place::Groups).await?;
    Ok(show(status, &EventForm { f, tab: "events", group, is_owner, e, fields, event }))
}

pub(crate) async fn new_event_form(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
) -> Result<Response> {
    let found = find(&app, &reader, id).await?;
    form_page(&app, &reader, found, (FormErrors::default(), Fields::default(), None)).await
}

pub(crate) async fn create_event(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let fields = Fields::entered(&form);
    let created = async {
        let new = fields.new_event(&reader.view)?;
        app.community.events.create_event(&reader.caller, id, new).await.map_err(Error::from)
    };
    match created.await {
        Ok(event) => Ok(redirect_with(&app, &format!("/events/{}/", event.id), "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            let found = find(&app, &reader, id).await?;
            form_page(&app, &reader, found, (e, fields, None)).await
        }
    }
}

pub(crate) async fn edit_form(State(app): State<App>, Path(id): Path<EventId>, reader: Reader) -> Result<Response> {
    let (event, group, is_owner) = find_event(&app, &reader, id).await?;
    let fields = Fields::of(&reader.view, &event);
    form_page(&app, &reader, (group, is_owner), (FormErrors::default(), fields, Some(id))).await
}

pub(crate) async fn change_event(
    State(app): State<App>,
    Path(id): Path<EventId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let (event, group, is_owner) = find_event(&app, &reader, id).await?;
    let fields = Fields::entered(&form);
    let changed = async {
        let patch = fields.patch(&reader.view, &event)?;
        app.community.events.change_event(&reader.caller, id, patch, IfMatch::default()).await.map_err(Error::from)
    };
    match changed.await {
        Ok(_) => Ok(redirect_with(&app, &format!("/events/{id}/"), "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            form_page(&app, &reader, (group, is_owner), (e, fields, Some(id))).await
        }
    }
}
