//! The people in a room: who asks to join, who takes part, and what the host does with them.

use std::time::Duration;

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_chat::{JoinRequest, Mute, Participant, Pin, Role, RoomId};
use guildhall_kernel::{Error, Kind, PageQuery, Path, Query, Result, UserId};

use super::access::{Access, base, done};
use crate::{
    form::Submission,
    local_path::LocalPath,
    page::ok,
    paging::{PageNumber, Pager},
    reader::{Frame, Place, Reader},
    view::View,
    web::App,
};

/// How many requests are listed beside a room.
const REQUESTS: u64 = 5;
/// How many participants are listed beside a room.
const PARTICIPANTS: u64 = 20;
/// For how long somebody can be muted, in minutes.
const MUTES: [u64; 3] = [10, 60, 1440];

/// What is beside the messages of a room.
pub(super) struct People {
    me: UserId,
    /// The first requests to join, if the reader decides on them.
    pub(super) requests: Vec<JoinRequest>,
    pub(super) request_count: u64,
    pub(super) participants: Vec<Participant>,
    pub(super) pins: Vec<Pin>,
}

impl People {
    /// Who is in a room and who asks to join.
    pub(super) async fn load(app: &App, reader: &Reader, access: &Access) -> Result<Self> {
        let (caller, id) = (&reader.caller, access.room.id);
        let (mut requests, mut request_count) = (Vec::new(), 0);
        if access.is_moderator && access.room.is_active {
            let page = PageQuery::new(1, REQUESTS);
            let page = app.chat.requests.requests(caller, id, page).await.map_err(Error::from)?;
            (requests, request_count) = (page.results, page.count);
        }
        let page = PageQuery::new(1, PARTICIPANTS);
        let participants = app.chat.participants.participants(caller, id, page).await.map_err(Error::from)?.results;
        // Staff see who takes part, but read nothing.
        let pins = if access.room.is_participant {
            app.chat.pins.pins(caller, id).await.map_err(Error::from)?
        } else {
            Vec::new()
        };
        Ok(Self { me: reader.id(), requests, request_count, participants, pins })
    }

    /// How many people take part who are not listed.
    pub(super) fn more(&self, access: &Access) -> i64 {
        let shown = i64::try_from(self.participants.len()).unwrap_or(i64::MAX);
        (access.room.participant_count - shown).max(0)
    }

    /// Whether a participant is the reader.
    pub(super) fn is_me(&self, participant: &Participant) -> bool {
        participant.user.as_ref().is_some_and(|user| user.id == self.me)
    }

    /// Whether the reader may mute and remove a participant.
    pub(super) fn may_act_on(&self, access: &Access, participant: &Participant) -> bool {
        let is_above = match participant.role {
            Role::Host => false,
            Role::CoHost => access.is_host,
            Role::Member => access.is_moderator,
        };
        access.room.is_active && is_above && !self.is_me(participant)
    }
}

/// The name of the role of a participant, unless they only take part.
pub(super) fn role(view: &View, participant: &Participant) -> Option<String> {
    match participant.role {
        Role::Host => Some(view.t("room-host")),
        Role::CoHost => Some(view.t("room-cohost")),
        Role::Member => None,
    }
}

/// Whether a participant is a co-host.
pub(super) fn is_cohost(participant: &Participant) -> bool {
    participant.role == Role::CoHost
}

/// What is beside the messages, as a part of a page.
#[derive(Template)]
#[template(path = "chat/aside.html")]
struct AsidePart {
    f: View,
    access: Access,
    people: People,
}

#[derive(Template)]
#[template(path = "chat/people.html")]
struct PeoplePage {
    f: Frame,
    access: Access,
    people: People,
    pager: Pager,
}

pub(crate) async fn participants(
    State(app): State<App>,
    Path(id): Path<RoomId>,
    reader: Reader,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    let access = Access::find(&app, &reader, id).await?;
    let mut people = People::load(&app, &reader, &access).await?;
    if reader.view.wants("people") {
        let path = LocalPath::parse(&access.base()).unwrap_or_else(LocalPath::home);
        return Ok(ok(&AsidePart { f: reader.view.on(path), access, people }));
    }
    let page = app.chat.participants.participants(&reader.caller, id, number.query()).await.map_err(Error::from)?;
    let pager = Pager::new(&page, number, &format!("{}people/", access.base()), &[]);
    people.participants = page.results;
    let f = reader.frame(&app, Place::Rooms).await?;
    Ok(ok(&PeoplePage { f, access, people, pager }))
}

/// Changes what a participant may do, or removes them.
pub(crate) async fn change(
    State(app): State<App>,
    Path((id, user)): Path<(RoomId, UserId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let (caller, chat) = (&reader.caller, &app.chat);
    let mute = |muted_until| Mute { user_id: user, muted_until };
    let changed = match form.text("action") {
        "cohost" => chat.hosts.add_cohost(caller, id, user).await,
        "member" => chat.hosts.remove_cohost(caller, id, user).await,
        "host" => chat.hosts.hand_over(caller, id, user).await.map(drop),
        "remove" => chat.participants.remove(caller, id, user).await.map(drop),
        "unmute" => chat.participants.mute(caller, id, mute(None)).await.map(drop),
        action => {
            let minutes = action.strip_prefix("mute-").and_then(|minutes| minutes.parse().ok());
            let minutes = minutes.filter(|minutes| MUTES.contains(minutes));
            let minutes = minutes.ok_or_else(|| Error::new(Kind::NotFound, "not_found", "Not found."))?;
            let end = app.clock.now() + Duration::from_secs(minutes * 60);
            chat.participants.mute(caller, id, mute(Some(end))).await.map(drop)
        }
    };
    changed.map_err(Error::from)?;
    Ok(done(&app, &form, &format!("{}people/", base(id)), "flash-saved"))
}
