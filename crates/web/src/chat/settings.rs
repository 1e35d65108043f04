//! The settings of a room.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_chat::{NewRoom, Room, RoomId, RoomPatch};
use guildhall_kernel::{Error, IfMatch, Kind, Path, Result};

use super::access::{Access, refusal};
use crate::{
    form::{FormErrors, Submission},
    page::{redirect_with, show},
    reader::{Frame, Place, Reader},
    web::App,
};

/// The fields of the form for a room, as they were entered.
pub(super) struct RoomForm {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) max_participants: String,
    pub(super) slow_mode_seconds: String,
    pub(super) is_listed: bool,
    pub(super) auto_approve: bool,
    pub(super) history_from_start: bool,
    pub(super) allow_file_uploads: bool,
}

impl Default for RoomForm {
    fn default() -> Self {
        let NewRoom { max_participants, slow_mode_seconds, is_listed, auto_approve, .. } = NewRoom::named("");
        let NewRoom { name, description, history_from_start, allow_file_uploads, .. } = NewRoom::named("");
        let (max_participants, slow_mode_seconds) = (max_participants.to_string(), slow_mode_seconds.to_string());
        Self {
            name,
            description,
            max_participants,
            slow_mode_seconds,
            is_listed,
            auto_approve,
            history_from_start,
            allow_file_uploads,
        }
    }
}

/// A number of a field; `None` if it is empty.
fn number(field: &str, text: &str) -> Result<Option<i64>> {
    let text = text.trim();
    let number = (!text.is_empty()).then(|| text.parse()).transpose();
    number.map_err(|_| Error::field(field, "A valid number is required."))
}

impl RoomForm {
    /// The present settings of a room.
    fn of(room: &Room) -> Self {
        Self {
            name: room.name.clone(),
            description: room.description.clone(),
            max_participants: room.max_participants.to_string(),
            slow_mode_seconds: room.slow_mode_seconds.to_string(),
            is_listed: room.is_listed,
            auto_approve: room.auto_approve,
            history_from_start: room.history_from_start,
            allow_file_uploads: room.allow_file_uploads,
        }
    }

    /// What was submitted.
    pub(super) fn entered(form: &Submission) -> Self {
        Self {
            name: form.text("name").trim().to_owned(),
            description: form.text("description").to_owned(),
            max_participants: form.text("max_participants").to_owned(),
            slow_mode_seconds: form.text("slow_mode_seconds").to_owned(),
            is_listed: form.is_checked("is_listed"),
            auto_approve: form.is_checked("auto_approve"),
            history_from_start: form.is_checked("history_from_start"),
            allow_file_uploads: form.is_checked("allow_file_uploads"),
        }
    }

    /// The room to open.
    ///
    /// # Errors
    /// If a number is something else.
    pub(super) fn new_room(&self) -> Result<NewRoom> {
        let new = NewRoom::named(self.name.clone());
        Ok(NewRoom {
            description: self.description.clone(),
            is_listed: self.is_listed,
            auto_approve: self.auto_approve,
            history_from_start: self.history_from_start,
            allow_file_uploads: self.allow_file_uploads,
            slow_mode_seconds: number("slow_mode_seconds", &self.slow_mode_seconds)?.unwrap_or(new.slow_mode_seconds),
            max_participants: number("max_participants", &self.max_participants)?.unwrap_or(new.max_participants),
            ..new
        })
    }

    /// The change of a room; empty numbers stay as they are.
    fn patch(&self) -> Result<RoomPatch> {
        Ok(RoomPatch {
            name: Some(self.name.clone()),
            description: Some(self.description.clone()),
            is_listed: Some(self.is_listed),
            auto_approve: Some(self.auto_approve),
            history_from_start: Some(self.history_from_start),
            allow_file_uploads: Some(self.allow_file_uploads),
            slow_mode_seconds: number("slow_mode_seconds", &self.slow_mode_seconds)?,
            max_participants: number("max_participants", &self.max_participants)?,
        })
    }
}

#[derive(Template)]
#[template(path = "chat/settings.html")]
struct SettingsPage {
    f: Frame,
    e: FormErrors,
    access: Access,
    form: RoomForm,
}

async fn settings_page(
    app: &App,
    reader: &Reader,
    id: RoomId,
    refused: Option<(FormErrors, RoomForm)>,
) -> Result<Response> {
    let access = Access::find(app, reader, id).await?;
    if !access.is_host {
        return Err(Error::new(Kind::Forbidden, "not_host", "Only the host of the room can do this."));
    }
    let f = reader.frame(app, Place::Rooms).await?;
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (e, form) = refused.unwrap_or_else(|| (FormErrors::default(), RoomForm::of(&access.room)));
    Ok(show(status, &SettingsPage { f, e, access, form }))
}

pub(crate) async fn settings(State(app): State<App>, Path(id): Path<RoomId>, reader: Reader) -> Result<Response> {
    settings_page(&app, &reader, id, None).await
}

pub(crate) async fn change(
    State(app): State<App>,
    Path(id): Path<RoomId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let entered = RoomForm::entered(&form);
    let changed = async {
        let patch = entered.patch()?;
        app.chat.rooms.change_room(&reader.caller, id, patch, IfMatch::default()).await.map_err(Error::from)
    };
    match changed.await {
        Ok(room) => Ok(redirect_with(&app, &super::access::base(room.id), "flash-saved")),
        Err(error) => {
            let e = refusal(&reader.view, error)?;
            settings_page(&app, &reader, id, Some((e, entered))).await
        }
    }
}
