//! Imports.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, response::Response};
use guildhall_files::{Form, Upload};
use guildhall_kernel::{
    Caller, Error, Json, Page, PageQuery, Path, Result, Tagged,
    idempotency::{Idempotent, KeyHeader},
    routes,
};
use serde::de::DeserializeOwned;
use utoipa_axum::router::OpenApiRouter;

use super::download;
use crate::{Format, Import, ImportForm, ImportId, Imports, NewImport, OrganizationId, state::DealsState};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(imports, import))
        .routes(routes!(find_import))
        .routes(routes!(import_errors))
        .routes(routes!(revert_import))
}

/// List the imports that the caller may see, newest first.
#[utoipa::path(get, path = "/organizations/{org}/imports/", tag = "crm",
    responses((status = 200, body = Page<Import>)),
)]
async fn imports(
    State(exchange): State<Arc<dyn Imports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<Import>>> {
    Ok(Json(exchange.imports(&caller, org, page).await?))
}

/// A field of the form that takes one of several values.
fn choice<T: DeserializeOwned>(fields: &BTreeMap<String, String>, name: &str) -> Result<Option<T>> {
    let value = fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let parse = |text: &str| {
        let parsed = serde_json::from_value(text.into());
        parsed.map_err(|error| Error::field(name, format!("Not a valid value: {error}.")))
    };
    value.map(parse).transpose()
}

fn options(upload: Upload) -> Result<NewImport> {
    let fields = &upload.fields;
    let get = |name: &str| fields.get(name).map_or("", |text| text.trim());
    let invalid = |name: &str, values: &str| Error::field(name, format!("Choose from: {values}."));
    let kind = choice(fields, "kind")?.ok_or_else(|| Error::field("kind", "This field is required."))?;
    let mapping = match get("mapping") {
        "" => BTreeMap::new(),
        text => serde_json::from_str(text)
            .map_err(|_| Error::field("mapping", "Must be a JSON object that maps headings to fields."))?,
    };
    Ok(NewImport {
        kind,
        delimiter: match get("delimiter") {
            "" | "auto" => None,
            "," => Some(b','),
            ";" => Some(b';'),
            "tab" => Some(b'\t'),
            _ => return Err(invalid("delimiter", "auto, `,`, `;`, tab")),
        },
        is_windows_1252: match get("encoding") {
            "" | "auto" => None,
            "utf-8" => Some(false),
            "windows-1252" => Some(true),
            _ => return Err(invalid("encoding", "auto, utf-8, windows-1252")),
        },
        decimal_comma: match get("decimal") {
            "" | "." => false,
            "," => true,
            _ => return Err(invalid("decimal", "`.`, `,`")),
        },
        mapping,
        on_duplicate: choice(fields, "on_duplicate")?.unwrap_or_default(),
        mode: choice(fields, "mode")?.unwrap_or_default(),
        dry_run: match get("dry_run") {
            "" | "false" => false,
            "true" => true,
            _ => return Err(invalid("dry_run", "true, false")),
        },
        file_name: upload.name,
        bytes: upload.bytes,
    })
}

/// Import a table of clients or deals.
///
/// The form has the file (delimited text or an Excel workbook) and the options. The whole table is checked before
/// anything is stored: `status` is the result, and `errors` lists the errors by line. If the import takes long, it goes
/// on after the response, and `status` is `running`.
#[utoipa::path(post, path = "/organizations/{org}/imports/", tag = "crm",
    request_body(content = ImportForm, content_type = "multipart/form-data"),
    responses((status = 201, body = Import)),
)]
async fn import(
    State(exchange): State<Arc<dyn Imports>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    key: KeyHeader,
    form: Form,
) -> Result<Idempotent<Import>> {
    let upload = form.file("file")?;
    let fields = format!("{:?}", upload.fields);
    let key = key.key(&[b"import", fields.as_bytes(), &upload.bytes])?;
    Ok(exchange.import(&caller, org, options(upload)?, key).await?)
}

/// Get an import.
#[utoipa::path(get, path = "/organizations/{org}/imports/{import}/", tag = "crm",
    responses((status = 200, body = Import)),
)]
async fn find_import(
    State(exchange): State<Arc<dyn Imports>>,
    caller: Caller,
    Path((org, import)): Path<(OrganizationId, ImportId)>,
) -> Result<Tagged<Import>> {
    let found = exchange.find_import(&caller, org, import).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Get up to a thousand errors of an import, as CSV.
#[utoipa::path(get, path = "/organizations/{org}/imports/{import}/errors.csv", tag = "crm",
    responses((status = 200, content_type = "text/csv", body = String)),
)]
async fn import_errors(
    State(exchange): State<Arc<dyn Imports>>,
    caller: Caller,
    Path((org, import)): Path<(OrganizationId, ImportId)>,
) -> Result<Response> {
    Ok(download(exchange.import_errors(&caller, org, import).await?, "errors.csv", Format::Csv))
}

/// Revert an import: delete the rows that it created.
///
/// Rows that were changed or used since are kept; `kept` counts them, and `kept_rows` lists the first ones.
#[utoipa::path(post, path = "/organizations/{org}/imports/{import}/revert/", tag = "crm",
    responses((status = 200, body = Import)),
)]
async fn revert_import(
    State(exchange): State<Arc<dyn Imports>>,
    caller: Caller,
    Path((org, import)): Path<(OrganizationId, ImportId)>,
) -> Result<Json<Import>> {
    Ok(Json(exchange.revert_import(&caller, org, import).await?))
}
