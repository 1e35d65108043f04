//! A row: its columns, which of them can be changed, and its history.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_admin::{Field, History, Key, Relation, RowDetail};
use guildhall_kernel::{Error, Path, Result, admin::Kind};

use super::{
    account::{UserPart, user_part},
    fields::{is_long, shown},
    frame::{AdminFrame, row_url},
};
use crate::{
    form::{FormErrors, Submission},
    html::Html,
    page::{form_errors, redirect_with, show},
    reader::Reader,
    web::App,
};

/// What begins the name of a field of the form.
const FIELD: &str = "c.";

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
    e: FormErrors,
    /// What was submitted, if it was refused.
    form: Submission,
    user: Option<UserPart>,
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

    fn editable(&self) -> impl Iterator<Item = &Field> {
        // The roles and the state of a user have forms of their own.
        let is_user = self.user.is_some();
        self.row.fields.iter().filter(move |field| field.is_editable && !is_user)
    }

    fn fixed(&self) -> impl Iterator<Item = &Field> {
        self.row.fields.iter().filter(|field| !field.is_editable || self.user.is_some())
    }

    fn shown(&self, field: &Field) -> Html {
        shown(&self.f, &field.column, &field.cell)
    }

    fn is_flag(field: &Field) -> bool {
        field.column.kind == Kind::Flag
    }

    /// The text of a field: as submitted, else as stored.
    fn text(&self, field: &Field) -> String {
        let submitted = self.form.find(&format!("{FIELD}{}", field.column.name));
        submitted.or(field.cell.text.as_deref()).unwrap_or_default().to_owned()
    }

    fn is_long(&self, field: &Field) -> bool {
        field.column.kind == Kind::Text
            && (is_long(&self.text(field)) || matches!(&*field.column.name, "content" | "description"))
    }

    fn is_checked(&self, field: &Field) -> bool {
        if self.form.find("submitted").is_some() {
            self.form.is_checked(&format!("{FIELD}{}", field.column.name))
        } else {
            field.cell.text.as_deref() == Some("true")
        }
    }

    fn has_error(&self, field: &Field) -> bool {
        self.e.has(&field.column.name)
    }

    fn error(&self, field: &Field) -> String {
        self.e.about(&field.column.name)
    }

    /// Errors about fields that the form does not have.
    fn other_errors(&self) -> Vec<String> {
        let names: Vec<&str> = self.editable().map(|field| field.column.name.as_str()).collect();
        self.e.others(&names)
    }
}

/// Shows a row; that of a user with what staff can do with the account.
pub(super) async fn row_page(
    app: &App,
    reader: &Reader,
    (table, key): (&str, &Key),
    (e, form): (FormErrors, Submission),
) -> Result<Response> {
    let f = AdminFrame::open(app, reader, table).await?;
    let row = app.admin.panel.row(&reader.caller, table, key).await.map_err(Error::from)?;
    let history = app.admin.panel.history(&reader.caller, table, key).await.map_err(Error::from)?;
    let user = if table == "users" { user_part(app, reader, key).await? } else { None };
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(show(status, &RowPage { f, row, history, e, form, user }))
}

pub(crate) async fn row(
    State(app): State<App>,
    Path((table, key)): Path<(String, String)>,
    reader: Reader,
) -> Result<Response> {
    let empty = (FormErrors::default(), Submission::default());
    row_page(&app, &reader, (&table, &Key::parse(&key)), empty).await
}

/// The submitted columns of a row. A box that is not checked is not submitted.
fn submitted(row: &RowDetail, form: &Submission) -> Vec<(String, Option<String>)> {
    let editable = row.fields.iter().filter(|field| field.is_editable);
    let value = |field: &Field| {
        let name = format!("{FIELD}{}", field.column.name);
        let value = match field.column.kind {
            Kind::Flag => Some(form.is_checked(&name).to_string()),
            Kind::Text => Some(form.find(&name)?.to_owned()),
            _ => Some(form.find(&name)?.trim().to_owned()),
        };
        let is_null = field.column.nullable && value.as_deref() == Some("");
        Some((field.column.name.clone(), value.filter(|_| !is_null)))
    };
    editable.filter_map(value).collect()
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
    let values = submitted(&row, &form);
    match app.admin.writes.change(&reader.caller, &table, &key, values, Some(version)).await.map_err(Error::from) {
        Ok(()) => Ok(redirect_with(&app, &row_url(&table, &key), "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            row_page(&app, &reader, (&table, &key), (e, form)).await
        }
    }
}
