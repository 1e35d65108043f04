//! Tables that come and go.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use guildhall_kernel::{
    Caller, Error, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, Tagged,
    file::{Form, Upload},
    idempotency::{Made, Once},
};
use serde::de::DeserializeOwned;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::DealsState;
use crate::{Exchange, Filter, Format, Import, ImportForm, ImportId, NewImport, OrganizationId, Table};

/// What a workbook is (IANA's registry of media types).
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

pub(super) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(export_deals))
        .routes(routes!(export_clients))
        .routes(routes!(export_deals_workbook))
        .routes(routes!(export_clients_workbook))
        .routes(routes!(imports, import))
        .routes(routes!(find_import))
        .routes(routes!(import_errors))
        .routes(routes!(revert_import))
}

fn download(table: Table, name: &str, format: Format) -> Response {
    let kind = match format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::Xlsx => XLSX,
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    (headers, Body::from_stream(table)).into_response()
}

/// The deals that the caller may see, as a table; narrowed as the list is. No cell is a formula, and it can be read in again.
#[utoipa::path(get, path = "/organizations/{org}/exports/deals.csv", tag = "crm",
    params(("org" = OrganizationId, Path), Filter),
    responses((status = 200, content_type = "text/csv", body = String), (status = "4XX", body = Problem)),
)]
async fn export_deals(
    State(exchange): State<Arc<dyn Exchange>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(filter): Query<Filter>,
) -> Result<Response> {
    Ok(download(exchange.export_deals(&caller, org, filter, Format::Csv).await?, "deals.csv", Format::Csv))
}

/// The clients that the caller may see, as a table; narrowed as the list is.
#[utoipa::path(get, path = "/organizations/{org}/exports/clients.csv", tag = "crm",
    params(("org" = OrganizationId, Path), Filter),
    responses((status = 200, content_type = "text/csv", body = String), (status = "4XX", body = Problem)),
)]
async fn export_clients(
    State(exchange): State<Arc<dyn Exchange>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(filter): Query<Filter>,
) -> Result<Response> {
    Ok(download(exchange.export_clients(&caller, org, filter, Format::Csv).await?, "clients.csv", Format::Csv))
}

/// The deals that the caller may see, as a workbook of Excel whose cells are text; narrowed as the list is.
#[utoipa::path(get, path = "/organizations/{org}/exports/deals.xlsx", tag = "crm",
    params(("org" = OrganizationId, Path), Filter),
    responses(
        (status = 200, content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", body = Vec<u8>),
        (status = "4XX", body = Problem),
    ),
)]
async fn export_deals_workbook(
    State(exchange): State<Arc<dyn Exchange>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(filter): Query<Filter>,
) -> Result<Response> {
    Ok(download(exchange.export_deals(&caller, org, filter, Format::Xlsx).await?, "deals.xlsx", Format::Xlsx))
}

/// The clients that the caller may see, as a workbook of Excel whose cells are text; narrowed as the list is.
#[utoipa::path(get, path = "/organizations/{org}/exports/clients.xlsx", tag = "crm",
    params(("org" = OrganizationId, Path), Filter),
    responses(
        (status = 200, content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", body = Vec<u8>),
        (status = "4XX", body = Problem),
    ),
)]
async fn export_clients_workbook(
    State(exchange): State<Arc<dyn Exchange>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    Query(filter): Query<Filter>,
) -> Result<Response> {
    Ok(download(exchange.export_clients(&caller, org, filter, Format::Xlsx).await?, "clients.xlsx", Format::Xlsx))
}

/// The tables that were read in, newest first.
#[utoipa::path(get, path = "/organizations/{org}/imports/", tag = "crm",
    params(("org" = OrganizationId, Path), PageParams),
    responses((status = 200, body = Page<Import>), (status = "4XX", body = Problem)),
)]
async fn imports(
    State(exchange): State<Arc<dyn Exchange>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    page: PageQuery,
) -> Result<Json<Page<Import>>> {
    Ok(Json(exchange.imports(&caller, org, page).await?))
}

/// A field of the form that is one of some words.
fn word<T: DeserializeOwned>(fields: &BTreeMap<String, String>, name: &str) -> Result<Option<T>> {
    let given = fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let read = |text: &str| {
        let value = serde_json::from_value(text.into());
        value.map_err(|error| Error::field(name, format!("Not a valid value: {error}.")))
    };
    given.map(read).transpose()
}

fn options(upload: Upload) -> Result<NewImport> {
    let fields = &upload.fields;
    let get = |name: &str| fields.get(name).map_or("", |text| text.trim());
    let wrong = |name: &str, words: &str| Error::field(name, format!("Choose from: {words}."));
    let kind = word(fields, "kind")?.ok_or_else(|| Error::field("kind", "This field is required."))?;
    let mapping = match get("mapping") {
        "" => BTreeMap::new(),
        text => serde_json::from_str(text)
            .map_err(|_| Error::field("mapping", "A JSON object of headings and fields is needed."))?,
    };
    Ok(NewImport {
        kind,
        delimiter: match get("delimiter") {
            "" | "auto" => None,
            "," => Some(b','),
            ";" => Some(b';'),
            "tab" => Some(b'\t'),
            _ => return Err(wrong("delimiter", "auto, `,`, `;`, tab")),
        },
        is_windows_1252: match get("encoding") {
            "" | "auto" => None,
            "utf-8" => Some(false),
            "windows-1252" => Some(true),
            _ => return Err(wrong("encoding", "auto, utf-8, windows-1252")),
        },
        decimal_comma: match get("decimal") {
            "" | "." => false,
            "," => true,
            _ => return Err(wrong("decimal", "`.`, `,`")),
        },
        mapping,
        on_duplicate: word(fields, "on_duplicate")?.unwrap_or_default(),
        mode: word(fields, "mode")?.unwrap_or_default(),
        dry_run: match get("dry_run") {
            "" | "false" => false,
            "true" => true,
            _ => return Err(wrong("dry_run", "true, false")),
        },
        file_name: upload.name,
        bytes: upload.bytes,
    })
}

/// Read a table of clients or deals in: a form with the file (text with commas or the like, or a workbook of Excel) and what to do with it. All of it is looked at before anything is stored; `status` says what became of it, `errors` what is wrong, by line.
#[utoipa::path(post, path = "/organizations/{org}/imports/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key it is done once"),
    ),
    request_body(content = ImportForm, content_type = "multipart/form-data"),
    responses((status = 201, body = Import), (status = "4XX", body = Problem)),
)]
async fn import(
    State(exchange): State<Arc<dyn Exchange>>,
    caller: Caller,
    Path(org): Path<OrganizationId>,
    headers: HeaderMap,
    form: Form,
) -> Result<Made<Import>> {
    let upload = form.file("file")?;
    let key = headers.get("idempotency-key").map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
    let told = format!("{:?}", upload.fields);
    let once = key.map(|key| Once::new(&key, &[b"import", told.as_bytes(), &upload.bytes])).transpose()?;
    Ok(exchange.import(&caller, org, options(upload)?, once).await?)
}

/// A table that was read in.
#[utoipa::path(get, path = "/organizations/{org}/imports/{import}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("import" = ImportId, Path)),
    responses((status = 200, body = Import), (status = "4XX", body = Problem)),
)]
async fn find_import(
    State(exchange): State<Arc<dyn Exchange>>,
    caller: Caller,
    Path((org, import)): Path<(OrganizationId, ImportId)>,
) -> Result<Tagged<Import>> {
    let found = exchange.find_import(&caller, org, import).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// What is wrong with a table, as a table: up to a thousand faults.
#[utoipa::path(get, path = "/organizations/{org}/imports/{import}/errors.csv", tag = "crm",
    params(("org" = OrganizationId, Path), ("import" = ImportId, Path)),
    responses((status = 200, content_type = "text/csv", body = String), (status = "4XX", body = Problem)),
)]
async fn import_errors(
    State(exchange): State<Arc<dyn Exchange>>,
    caller: Caller,
    Path((org, import)): Path<(OrganizationId, ImportId)>,
) -> Result<Response> {
    Ok(download(exchange.import_errors(&caller, org, import).await?, "errors.csv", Format::Csv))
}

/// Take back what came with a table, but for what somebody has changed since; `kept` says how many rows those are, `kept_rows` which.
#[utoipa::path(post, path = "/organizations/{org}/imports/{import}/revert/", tag = "crm",
    params(("org" = OrganizationId, Path), ("import" = ImportId, Path)),
    responses((status = 200, body = Import), (status = "4XX", body = Problem)),
)]
async fn revert_import(
    State(exchange): State<Arc<dyn Exchange>>,
    caller: Caller,
    Path((org, import)): Path<(OrganizationId, ImportId)>,
) -> Result<Json<Import>> {
    Ok(Json(exchange.revert_import(&caller, org, import).await?))
}
