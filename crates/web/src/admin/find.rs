//! All tables, and the search over them.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_admin::Found;
use guildhall_kernel::{Error, Query, Result};
use serde::Deserialize;

use super::frame::AdminFrame;
use crate::{page::ok, reader::Reader, web::App};

#[derive(Template)]
#[template(path = "admin/tables.html")]
struct TablesPage {
    f: AdminFrame,
}

pub(crate) async fn tables(State(app): State<App>, reader: Reader) -> Result<Response> {
    Ok(ok(&TablesPage { f: AdminFrame::open(&app, &reader, "tables").await? }))
}

/// What to search for.
#[derive(Deserialize)]
pub(crate) struct Search {
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "admin/find.html")]
struct FindPage {
    f: AdminFrame,
    q: String,
    found: Found,
}

impl FindPage {
    fn is_empty(&self) -> bool {
        self.found.tables.is_empty() && self.found.rows.is_empty()
    }
}

pub(crate) async fn find(State(app): State<App>, reader: Reader, Query(search): Query<Search>) -> Result<Response> {
    let f = AdminFrame::open(&app, &reader, "find").await?;
    let found = app.admin.panel.find(&reader.caller, &search.q).await.map_err(Error::from)?;
    Ok(ok(&FindPage { f, q: search.q, found }))
}
