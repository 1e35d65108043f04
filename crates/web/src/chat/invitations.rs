//! Inviting somebody to a room.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_chat::RoomId;
use guildhall_kernel::{Error, Path, Person, Query, Result, UserId};
use serde::Deserialize;

use super::access::{Access, base, refusal};
use crate::{
    form::{FormErrors, Submission},
    page::{ok, redirect_with, show},
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many people are listed.
const PEOPLE: u64 = 20;

#[derive(Default, Deserialize)]
pub(crate) struct Search {
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "chat/invite.html", blocks = ["results"])]
struct InvitePage {
    f: Frame,
    access: Access,
    e: FormErrors,
    q: String,
    people: Vec<Person>,
}

async fn invite_page(app: &App, reader: &Reader, id: RoomId, search: Search, e: FormErrors) -> Result<InvitePage> {
    let access = Access::find(app, reader, id).await?;
    let q = search.q.trim().trim_start_matches('@').to_owned();
    let people = if q.is_empty() {
        Vec::new()
    } else {
        app.messaging.people.search_users(&reader.caller, q.clone(), PEOPLE).await.map_err(Error::from)?
    };
    let f = reader.frame(app, Place::Rooms).await?;
    Ok(InvitePage { f, access, e, q, people })
}

pub(crate) async fn search(
    State(app): State<App>,
    Path(id): Path<RoomId>,
    reader: Reader,
    Query(search): Query<Search>,
) -> Result<Response> {
    let page = invite_page(&app, &reader, id, search, FormErrors::default()).await?;
    Ok(if reader.view.wants("results") { ok(&page.as_results()) } else { ok(&page) })
}

/// Lets a person take part at once.
pub(crate) async fn invite(
    State(app): State<App>,
    Path(id): Path<RoomId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let invited = async {
        let user = form.number::<i64>("user")?.map(UserId);
        let user = user.ok_or_else(|| Error::field("user", "Choose one of the offered values."))?;
        app.chat.participants.invite(&reader.caller, id, user).await.map_err(Error::from)
    };
    match invited.await {
        Ok(_) => Ok(redirect_with(&app, &format!("{}people/", base(id)), "flash-invited")),
        Err(error) => {
            let e = refusal(&reader.view, error)?;
            let search = Search { q: form.text("q").to_owned() };
            let page = invite_page(&app, &reader, id, search, e).await?;
            Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
    }
}
