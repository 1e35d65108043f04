//! Imports of clients and deals.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    body::Body,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use guildhall_deals::{Import, ImportId, ImportKind, ImportStatus, NewImport, OrganizationId};
use guildhall_files::Upload;
use guildhall_kernel::{
    Error, Path, Query, Result,
    idempotency::{IdempotencyKey, Idempotent},
};

use super::{
    entered::{Entered, retyped},
    form_key::{self, FORM_KEY},
    frame::OrgFrame,
};
use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, ok, redirect, redirect_with, show},
    paging::{PageNumber, Pager},
    reader::Reader,
    web::App,
};

/// The fields of the form that come back if it is refused: all but the file.
const FIELDS: [&str; 7] = [FORM_KEY, "kind", "decimal", "delimiter", "mapping", "on_duplicate", "mode"];

#[derive(Template)]
#[template(path = "deals/imports.html")]
struct ImportsPage {
    f: OrgFrame,
    e: FormErrors,
    v: Entered,
    imports: Vec<Import>,
    pager: Pager,
}

impl ImportsPage {
    fn status(&self, import: &Import) -> String {
        self.f.t(status_name(import.status))
    }
}

fn status_name(status: ImportStatus) -> &'static str {
    match status {
        ImportStatus::Checked => "deals-import-checked",
        ImportStatus::Refused => "deals-import-refused",
        ImportStatus::Running => "deals-import-running",
        ImportStatus::Done => "deals-import-done",
        ImportStatus::Failed => "deals-import-failed",
        ImportStatus::Reverted => "deals-import-reverted",
    }
}

async fn imports_page(
    app: &App,
    reader: &Reader,
    (org, number): (OrganizationId, PageNumber),
    refused: Option<(FormErrors, Entered)>,
) -> Result<Response> {
    let f = OrgFrame::open(app, reader, org, "import").await?;
    let page = app.deals.imports.imports(&reader.caller, org, number.query()).await?;
    let pager = Pager::new(&page, number, &f.url("import/"), &[]);
    let (status, e, v) = if let Some((e, v)) = refused {
        (StatusCode::UNPROCESSABLE_ENTITY, e, v)
    } else {
        let key = form_key::new()?;
        (StatusCode::OK, FormErrors::default(), Entered::of([(FORM_KEY, key.as_str()), ("kind", "deals")]))
    };
    Ok(show(status, &ImportsPage { f, e, v, imports: page.results, pager }))
}

pub(crate) async fn imports(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    imports_page(&app, &reader, (org, number), None).await
}

/// The fields of columns, from lines like `Betrag = value`. A line without a field ignores its column.
fn mapping(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (heading, field) = line.split_once('=')?;
        Some((heading.trim().to_owned(), field.trim().to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

/// The key of a form that sends a file. Checking a table and importing it are two requests, even from one form.
fn sent_key(org: OrganizationId, v: &Entered, action: &str, upload: &Upload) -> Result<Option<IdempotencyKey>> {
    let key = v.get(FORM_KEY);
    if key.is_empty() {
        return Ok(None);
    }
    let address = format!("pages import {org}");
    let mut request = vec![address.as_bytes(), upload.name.as_bytes(), &upload.bytes];
    request.extend(FIELDS.iter().map(|name| v.get(name).as_bytes()));
    IdempotencyKey::new(&format!("{key}.{action}"), &request).map(Some)
}

/// Starts an import, once even if the form is sent twice.
async fn start(app: &App, reader: &Reader, org: OrganizationId, form: Submission, v: &Entered) -> Result<ImportId> {
    let kind: Option<ImportKind> = form.choice("kind")?;
    let kind = kind.ok_or_else(|| Error::field("kind", "This field is required."))?;
    let delimiter = match form.text("delimiter") {
        "comma" => Some(b','),
        "semicolon" => Some(b';'),
        "tab" => Some(b'\t'),
        _ => None,
    };
    let (on_duplicate, mode) = (form.choice("on_duplicate")?, form.choice("mode")?);
    let (decimal_comma, mapping) = (form.text("decimal") == "comma", mapping(form.text("mapping")));
    let dry_run = form.text("action") != "import";
    let upload = form.into_upload("file")?;
    let key = sent_key(org, v, if dry_run { "check" } else { "import" }, &upload)?;
    let new = NewImport {
        kind,
        file_name: upload.name,
        bytes: upload.bytes,
        delimiter,
        is_windows_1252: None,
        decimal_comma,
        mapping,
        on_duplicate: on_duplicate.unwrap_or_default(),
        mode: mode.unwrap_or_default(),
        dry_run,
    };
    match app.deals.imports.import(&reader.caller, org, new, key).await? {
        Idempotent::Created(import) => Ok(import.id),
        Idempotent::Replayed(first) => form_key::id_in(&first).map(ImportId),
    }
}

/// Checks a table, or imports it.
pub(crate) async fn import(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let v = Entered::typed(&form, &FIELDS);
    match start(&app, &reader, org, form, &v).await {
        Ok(id) => Ok(redirect(&format!("/deals/{org}/import/{id}/"))),
        Err(error) => {
            let v = retyped(&error, v)?;
            let e = form_errors(&reader.view, error)?;
            imports_page(&app, &reader, (org, PageNumber::default()), Some((e, v))).await
        }
    }
}

#[derive(Template)]
#[template(path = "deals/import.html")]
struct ImportPage {
    f: OrgFrame,
    import: Import,
}

impl ImportPage {
    fn status(&self) -> String {
        self.f.t(status_name(self.import.status))
    }

    fn is_checked(&self) -> bool {
        self.import.status == ImportStatus::Checked
    }

    fn is_done(&self) -> bool {
        self.import.status == ImportStatus::Done
    }

    fn is_running(&self) -> bool {
        self.import.status == ImportStatus::Running
    }

    /// How many of a hundred rows have been handled; `None` before the first.
    fn share(&self) -> Option<i64> {
        let Import { total, created, updated, skipped, failed, .. } = &self.import;
        let handled = created + updated + skipped + failed;
        (*total > 0 && handled > 0).then(|| handled * 100 / total)
    }
}

pub(crate) async fn import_result(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, ImportId)>,
    reader: Reader,
) -> Result<Response> {
    let f = OrgFrame::open(&app, &reader, org, "import").await?;
    let import = app.deals.imports.find_import(&reader.caller, org, id).await?;
    Ok(ok(&ImportPage { f, import }))
}

/// The errors of an import as a table.
pub(crate) async fn errors(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, ImportId)>,
    reader: Reader,
) -> Result<Response> {
    let table = app.deals.imports.import_errors(&reader.caller, org, id).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"errors.csv\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(table)).into_response())
}

pub(crate) async fn revert(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, ImportId)>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.deals.imports.revert_import(&reader.caller, org, id).await?;
    Ok(redirect_with(&app, &format!("/deals/{org}/import/{id}/"), "flash-import-reverted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_has_a_line_for_each_column() {
        let found = mapping("Betrag = value\n\nKunde=client\nNotiz =");
        let pairs: Vec<(&str, &str)> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("Betrag", "value"), ("Kunde", "client"), ("Notiz", "")]);
    }
}
