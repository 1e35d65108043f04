//! Choosing whom to write to.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_kernel::{Error, Person, Query, Result};
use serde::Deserialize;

use crate::{
    page::ok,
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many people are listed.
const PEOPLE: u64 = 20;

#[derive(Deserialize)]
pub(crate) struct Search {
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "messaging/new.html", blocks = ["results"])]
struct NewMessagePage {
    f: Frame,
    q: String,
    people: Vec<Person>,
}

pub(crate) async fn new_message(
    State(app): State<App>,
    reader: Reader,
    Query(search): Query<Search>,
) -> Result<Response> {
    let f = reader.frame(&app, Place::Messages).await?;
    let q = search.q.trim().trim_start_matches('@').to_owned();
    let people = if q.is_empty() {
        Vec::new()
    } else {
        app.messaging.people.search_users(&reader.caller, q.clone(), PEOPLE).await.map_err(Error::from)?
    };
    let page = NewMessagePage { f, q, people };
    Ok(if reader.view.wants("results") { ok(&page.as_results()) } else { ok(&page) })
}
