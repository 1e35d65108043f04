//! New rows.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_admin::{NewRow, Reference, Table};
use guildhall_kernel::{Error, Path, Query, Result};

use super::{
    frame::{AdminFrame, row_url},
    inputs::{Input, Meanings, PREFIX, Submitted, inputs},
};
use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, ok, redirect_with, show},
    reader::Reader,
    web::App,
};

#[derive(Template)]
#[template(path = "admin/new.html")]
struct NewPage {
    f: AdminFrame,
    table: Table,
    inputs: Vec<Input>,
    e: FormErrors,
}

impl NewPage {
    /// Errors about fields that the form does not have.
    fn other_errors(&self) -> Vec<String> {
        let names: Vec<&str> = self.inputs.iter().map(|input| input.column.name.as_str()).collect();
        self.e.others(&names)
    }
}

async fn page(
    app: &App,
    reader: &Reader,
    new: NewRow,
    (e, form, meanings): (FormErrors, Submission, Meanings),
) -> Result<Response> {
    let f = AdminFrame::open(app, reader, &new.table.name).await?;
    let inputs = inputs(&reader.view, &new.fields, &form, &e, &meanings);
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(show(status, &NewPage { f, table: new.table, inputs, e }))
}

/// The form for a new row. Parameters with the names of its inputs fill it in.
pub(crate) async fn form(
    State(app): State<App>,
    Path(table): Path<String>,
    reader: Reader,
    Query(filled): Query<Vec<(String, String)>>,
) -> Result<Response> {
    let mut new = app.admin.panel.new_row(&reader.caller, &table).await.map_err(Error::from)?;
    for field in &mut new.fields {
        let value = filled.iter().find(|(name, _)| name.strip_prefix(PREFIX) == Some(field.column.name.as_str()));
        if let Some((_, value)) = value {
            field.cell.text = Some(value.clone());
        }
    }
    page(&app, &reader, new, (FormErrors::default(), Submission::default(), Meanings::new())).await
}

pub(crate) async fn create(
    State(app): State<App>,
    Path(table): Path<String>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    // A box that is not checked is not submitted: without the end of the form, all of them would be off.
    form.required("submitted")?;
    let new = app.admin.panel.new_row(&reader.caller, &table).await.map_err(Error::from)?;
    let read = Submitted::read(&app, &reader, &new.fields, &form).await?;
    if !read.errors.is_empty() {
        let e = FormErrors::of(read.errors, None);
        return page(&app, &reader, new, (e, form, read.meanings)).await;
    }
    let values = read.values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    match app.admin.writes.create(&reader.caller, &table, values).await.map_err(Error::from) {
        Ok(_) if form.find("then") == Some("another") => {
            Ok(redirect_with(&app, &format!("/admin/{table}/new/"), "flash-saved"))
        }
        Ok(key) => Ok(redirect_with(&app, &row_url(&table, &key), "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            page(&app, &reader, new, (e, form, Meanings::new())).await
        }
    }
}

#[derive(Template)]
#[template(path = "admin/options.html")]
struct Options {
    options: Vec<Reference>,
}

/// The rows that a reference can be chosen from, for the text in the only parameter.
pub(crate) async fn options(
    State(app): State<App>,
    Path(table): Path<String>,
    reader: Reader,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response> {
    let term = pairs.first().map(|(_, text)| text.trim()).unwrap_or_default();
    let options = match term {
        "" => Vec::new(),
        term => app.admin.panel.options(&reader.caller, &table, term).await.map_err(Error::from)?,
    };
    Ok(ok(&Options { options }))
}
