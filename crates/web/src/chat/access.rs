//! A room with what the reader may do in it, and why something was refused.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use guildhall_chat::{Role, Room, RoomId};
use guildhall_kernel::{Error, FieldErrors, Kind, Result};

use crate::{
    form::{FormErrors, Submission},
    page::{back_with, form_errors, sentence},
    reader::Reader,
    view::View,
    web::App,
};

/// A room with what the reader may do in it. The services decide; this is for what pages offer.
pub(super) struct Access {
    pub(super) room: Room,
    /// Whether they may change and close it.
    pub(super) is_host: bool,
    /// Whether they may decide who takes part.
    pub(super) is_moderator: bool,
}

/// The address of a room.
pub(super) fn base(id: RoomId) -> String {
    format!("/rooms/{id}/")
}

impl Access {
    /// The room, if the reader may know of it.
    pub(super) async fn find(app: &App, reader: &Reader, id: RoomId) -> Result<Self> {
        let room = app.chat.rooms.room(&reader.caller, id).await.map_err(Error::from)?;
        let (role, is_staff) = (room.my_role, reader.caller.roles.is_staff());
        Ok(Self {
            is_host: is_staff || role == Some(Role::Host),
            is_moderator: is_staff || matches!(role, Some(Role::Host | Role::CoHost)),
            room,
        })
    }

    /// The address of the room.
    pub(super) fn base(&self) -> String {
        base(self.room.id)
    }

    /// Whether the reader is the host, whose leaving closes the room.
    pub(super) fn hosts(&self) -> bool {
        self.room.my_role == Some(Role::Host)
    }

    /// Whether nobody else can take part.
    pub(super) fn is_full(&self) -> bool {
        self.room.participant_count >= self.room.max_participants
    }

    /// Whether the reader is connected to the room while its pages are open. A host who is not for some time closes it.
    pub(super) fn is_followed(&self) -> bool {
        self.room.is_active && self.room.is_participant
    }
}

/// What to show on a form that a room has refused. Errors that nobody can correct on the form are passed on.
pub(super) fn refusal(view: &View, error: impl Into<Error>) -> Result<FormErrors> {
    let error = error.into();
    if error.kind() == Kind::Forbidden {
        let text = sentence(view, error.code(), error.detail());
        return Ok(FormErrors::of(FieldErrors::new(), Some(text)));
    }
    form_errors(view, error)
}

/// The response to an action: nothing for scripts, which follow the room, else the page that the form came from.
pub(super) fn done(app: &App, form: &Submission, fallback: &str, flash: &str) -> Response {
    if form.is_checked("script") {
        return StatusCode::NO_CONTENT.into_response();
    }
    back_with(app, form.next(), fallback, flash)
}
