//! A row: its columns, which of them can be changed, and its history.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_admin::{Field, History, Key, Relation, RowDetail};
use guildhall_community::GroupId;
use guildhall_kernel::{Error, Path, Result};

use super::{
    account::{UserPart, user_part},
    fields::shown,
    frame::{AdminFrame, row_url},
    inputs::{Input, Meanings, PREFIX, Submitted, inputs},
};
use crate::{
    form::{FormErrors, Submission},
    html::Html,
    page::{form_errors, redirect_with, show},
    reader::Reader,
    web::App,
};

/// How many rows of a relation are shown on the page of the row that they refer to.
const MAX_RELATED: u64 = 20;

/// The page of a row outside of the panel.
fn site_url(table: &str, key: &Key) -> Option<String> {
    let id = key.id()?;
    match table {
        "users" => Some(format!("/people/{id}/")),
        "community_group" => Some(format!("/groups/{id}/")),
        "community_post" => Some(format!("/posts/{id}/")),
        "chat_room" => Some(format!("/rooms/{id}/")),
        _ => None,
    }
}

#[derive(Template)]
#[template(path = "admin/row.html")]
struct RowPage {
    f: AdminFrame,
    row: RowDetail,
    history: Vec<History>,
    inputs: Vec<Input>,
    e: FormErrors,
    /// What was submitted, if it was refused.
    form: Submission,
    user: Option<UserPart>,
    /// The names and URLs of its pictures.
    pictures: Vec<(&'static str, String)>,
}

impl RowPage {
    fn url(&self) -> String {
        row_url(&self.row.table.name, &self.row.key)
    }

    fn site_url(&self) -> Option<String> {
        site_url(&self.row.table.name, &self.row.key)
    }

    /// The version that the submitted values were read from: a form that was refused as stale stays so.
    fn version(&self) -> &str {
        self.form.find("version").unwrap_or(&self.row.version)
    }

    fn delete_url(&self) -> String {
        let key = crate::local_path::encode(&self.row.key.to_string());
        format!("/admin/{}/delete/?key={key}", self.row.table.name)
    }

    fn relation_url(&self, relation: &Relation) -> String {
        let key = crate::local_path::encode(&self.row.key.to_string());
        format!("/admin/{}/?f.{}={key}", relation.table.name, relation.column)
    }

    /// The relations whose rows are few enough to be shown on this page.
    fn related(&self) -> impl Iterator<Item = &Relation> {
        self.row.relations.iter().filter(|relation| (1..=MAX_RELATED).contains(&relation.count.number))
    }

    /// The form for a new row that refers to this one.
    fn new_url(&self, relation: &Relation) -> String {
        let key = crate::local_path::encode(&self.row.key.to_string());
        format!("/admin/{}/new/?{PREFIX}{}={key}", relation.table.name, relation.column)
    }

    fn fixed(&self) -> impl Iterator<Item = &Field> {
        self.row.fields.iter().filter(|field| !field.is_editable || self.user.is_some())
    }

    fn shown(&self, field: &Field) -> Html {
        shown(&self.f, &field.column, &field.cell)
    }

    /// Errors about fields that the form does not have.
    fn other_errors(&self) -> Vec<String> {
        let names: Vec<&str> = self.inputs.iter().map(|input| input.column.name.as_str()).collect();
        self.e.others(&names)
    }
}

async fn pictures_of_group(app: &App, reader: &Reader, key: &Key) -> Result<Vec<(&'static str, String)>> {
    let Some(id) = key.id() else { return Ok(Vec::new()) };
    let groups =
        app.community.groups.groups_by_id(Some(reader.caller), vec![GroupId(id)]).await.map_err(Error::from)?;
    let Some(group) = groups.into_iter().next() else { return Ok(Vec::new()) };
    let picture = group.image_urls.map(|urls| ("picture", urls.medium));
    let banner = group.banner_urls.map(|urls| ("banner", urls.medium));
    Ok(picture.into_iter().chain(banner).collect())
}

/// Shows a row; that of a user with what staff can do with the account.
pub(super) async fn row_page(
    app: &App,
    reader: &Reader,
    (table, key): (&str, &Key),
    (e, form, meanings): (FormErrors, Submission, Meanings),
) -> Result<Response> {
    let f = AdminFrame::open(app, reader, table).await?;
    let row = app.admin.panel.row(&reader.caller, table, key).await.map_err(Error::from)?;
    let history = app.admin.panel.history(&reader.caller, table, key).await.map_err(Error::from)?;
    let pictures = if table == "community_group" { pictures_of_group(app, reader, key).await? } else { Vec::new() };
    let user = if table == "users" { user_part(app, reader, key).await? } else { None };
    // The roles and the state of a user have forms of their own.
    let inputs = if user.is_some() { Vec::new() } else { inputs(&reader.view, &row.fields, &form, &e, &meanings) };
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(show(status, &RowPage { f, row, history, inputs, e, form, user, pictures }))
}

pub(crate) async fn row(
    State(app): State<App>,
    Path((table, key)): Path<(String, String)>,
    reader: Reader,
) -> Result<Response> {
    let empty = (FormErrors::default(), Submission::default(), Meanings::new());
    row_page(&app, &reader, (&table, &Key::parse(&key)), empty).await
}

pub(crate) async fn change(
    State(app): State<App>,
    Path((table, key)): Path<(String, String)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let key = Key::parse(&key);
    // A box that is not checked is not submitted: without the other end of the form, all of them would be cleared.
    form.required("submitted")?;
    let version = form.required("version")?;
    let row = app.admin.panel.row(&reader.caller, &table, &key).await.map_err(Error::from)?;
    let read = Submitted::read(&app, &reader, &row.fields, &form).await?;
    if !read.errors.is_empty() {
        let e = FormErrors::of(read.errors, None);
        return row_page(&app, &reader, (&table, &key), (e, form, read.meanings)).await;
    }
    match app.admin.writes.change(&reader.caller, &table, &key, read.values, Some(version)).await.map_err(Error::from) {
        Ok(()) => Ok(redirect_with(&app, &row_url(&table, &key), "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            row_page(&app, &reader, (&table, &key), (e, form, Meanings::new())).await
        }
    }
}
