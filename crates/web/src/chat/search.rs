//! The search in a room.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_chat::{Message, RoomId};
use guildhall_kernel::{CursorQuery, Error, Path, Query, Result};
use serde::Deserialize;

use super::access::Access;
use crate::{
    page::ok,
    paging::{Before, older},
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many messages are on a page.
const MESSAGES: u64 = 20;

#[derive(Deserialize)]
pub(crate) struct Search {
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "chat/search.html", blocks = ["results"])]
struct SearchPage {
    f: Frame,
    access: Access,
    q: String,
    found: Vec<Message>,
    older: Option<i64>,
}

impl SearchPage {
    /// The address of a message among those around it.
    fn url(&self, message: &Message) -> String {
        let seq = message.seq.unwrap_or_default();
        format!("{}?around={seq}#msg-{}", self.access.base(), message.id)
    }
}

pub(crate) async fn search(
    State(app): State<App>,
    Path(id): Path<RoomId>,
    reader: Reader,
    Query(search): Query<Search>,
    Query(before): Query<Before>,
) -> Result<Response> {
    let access = Access::find(&app, &reader, id).await?;
    let q = search.q.trim().to_owned();
    let (mut found, mut next) = (Vec::new(), None);
    if !q.is_empty() {
        let query = before.before.map_or(CursorQuery::newest(MESSAGES), |key| CursorQuery::before(key, MESSAGES));
        let page = app.chat.search.search_messages(&reader.caller, q.clone(), Some(id), query).await;
        let page = page.map_err(Error::from)?;
        next = older(page.next.as_deref());
        found = page.results;
    }
    let f = reader.frame(&app, Place::Rooms).await?;
    let page = SearchPage { f, access, q, found, older: next };
    Ok(if reader.view.wants("results") { ok(&page.as_results()) } else { ok(&page) })
}
