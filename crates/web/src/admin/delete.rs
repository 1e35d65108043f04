//! What a deletion does, and the deletion.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_admin::{Confirmation, Deletion, Graph, GraphTable, Key, Outlook};
use guildhall_kernel::{Error, Path, Query, Result};

use super::frame::{AdminFrame, row_url};
use crate::{
    blockers::{Blocker, blockers},
    form::{FormErrors, Submission},
    local_path::encode,
    page::{form_errors, redirect_with, show},
    reader::Reader,
    web::App,
};

/// How many rows can be deleted at once.
pub(super) const MAX_CHOSEN: usize = 100;

#[derive(Template)]
#[template(path = "admin/delete.html")]
struct DeletePage {
    f: AdminFrame,
    graph: Graph,
    typed: String,
    /// Whether the counts have changed since the reader saw them.
    is_changed: bool,
    e: FormErrors,
    /// What prevents the deletion, as far as the service has reported it.
    blockers: Vec<Blocker>,
}

impl DeletePage {
    fn title(&self) -> String {
        match &self.graph.rows[..] {
            [(_, title)] => self.f.t1("admin-delete-question", "name", title),
            rows => self.f.n("admin-delete-rows-question", rows.len() as u64),
        }
    }

    fn going(&self) -> impl Iterator<Item = &GraphTable> {
        self.graph.with(Outlook::Goes)
    }

    fn staying(&self) -> impl Iterator<Item = &GraphTable> {
        self.graph.with(Outlook::Stays)
    }

    fn blocking(&self) -> impl Iterator<Item = &GraphTable> {
        self.graph.with(Outlook::Blocks)
    }

    /// The list with the rows, where they reference a single chosen row themselves.
    fn rows_url(&self, entry: &GraphTable) -> String {
        match (&self.graph.rows[..], &entry.column) {
            ([(key, _)], Some(column)) => {
                format!("/admin/{}/?f.{column}={}", entry.table.name, encode(&key.to_string()))
            }
            _ => format!("/admin/{}/", entry.table.name),
        }
    }

    fn back_url(&self) -> String {
        match &self.graph.rows[..] {
            [(key, _)] => row_url(&self.graph.table.name, key),
            _ => format!("/admin/{}/", self.graph.table.name),
        }
    }

    fn action(&self) -> String {
        format!("/admin/{}/delete/", self.graph.table.name)
    }

    fn field_error(&self) -> Option<String> {
        self.e.has("confirmation").then(|| self.e.about("confirmation"))
    }

    fn other_errors(&self) -> Vec<String> {
        self.e.others(&["confirmation"])
    }
}

async fn delete_page(
    app: &App,
    reader: &Reader,
    graph: Graph,
    (typed, is_changed): (String, bool),
    (e, blockers): (FormErrors, Vec<Blocker>),
) -> Result<Response> {
    let f = AdminFrame::open(app, reader, &graph.table.name).await?;
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let status = if is_changed { StatusCode::CONFLICT } else { status };
    Ok(show(status, &DeletePage { f, graph, typed, is_changed, e, blockers }))
}

pub(crate) async fn preview(
    State(app): State<App>,
    Path(table): Path<String>,
    reader: Reader,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response> {
    let keys = pairs.iter().filter(|(name, _)| name == "key");
    let keys: Vec<Key> = keys.map(|(_, key)| Key::parse(key)).take(MAX_CHOSEN).collect();
    let graph = app.admin.writes.preview_deletion(&reader.caller, &table, &keys).await.map_err(Error::from)?;
    delete_page(&app, &reader, graph, (String::new(), false), (FormErrors::default(), Vec::new())).await
}

pub(crate) async fn delete(
    State(app): State<App>,
    Path(table): Path<String>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let keys: Vec<Key> = form.all("key").take(MAX_CHOSEN).map(Key::parse).collect();
    let typed = form.text("confirmation").to_owned();
    let confirmation = Confirmation { token: form.text("token").to_owned(), typed: typed.clone() };
    let writes = &app.admin.writes;
    match writes.delete(&reader.caller, &table, &keys, confirmation).await.map_err(Error::from) {
        Ok(Deletion::Done) => Ok(redirect_with(&app, &format!("/admin/{}/", encode(&table)), "flash-deleted")),
        Ok(Deletion::Changed(graph)) => {
            delete_page(&app, &reader, *graph, (typed, true), (FormErrors::default(), Vec::new())).await
        }
        Err(error) => {
            let blockers = blockers(&error, &reader.view);
            let e = form_errors(&reader.view, error)?;
            let graph = writes.preview_deletion(&reader.caller, &table, &keys).await.map_err(Error::from)?;
            delete_page(&app, &reader, graph, (typed, false), (e, blockers)).await
        }
    }
}
