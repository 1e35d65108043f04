//! What deals are made up of, and files about them.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Path, Problem, Result, Tagged, file::Form};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::DealsState;
use crate::{
    ClientId, DealFile, DealFileId, DealFiles, DealId, Line, LineId, LinePatch, Lines, NewLine, OrganizationId,
    PaymentId, Place,
};

pub(super) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(lines, add_line))
        .routes(routes!(change_line, remove_line))
        .routes(routes!(deal_files, add_deal_file))
        .routes(routes!(remove_deal_file))
        .routes(routes!(receipts, add_receipt))
        .routes(routes!(receipts_of_client, add_receipt_of_client))
}

/// A form with a file in it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is sent")]
struct DealFileForm {
    /// The file.
    #[schema(format = Binary)]
    file: Vec<u8>,
}

/// What a deal is made up of, in its order: a hundred lines at most.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/lines/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path)),
    responses((status = 200, body = Vec<Line>), (status = "4XX", body = Problem)),
)]
async fn lines(
    State(lines): State<Arc<dyn Lines>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
) -> Result<Json<Vec<Line>>> {
    Ok(Json(lines.lines(&caller, org, deal.into()).await?))
}

/// Add a line. The deal is worth what its lines are worth together from then on.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/lines/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path)),
    responses((status = 201, body = Line), (status = "4XX", body = Problem)),
)]
async fn add_line(
    State(lines): State<Arc<dyn Lines>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    Json(body): Json<NewLine>,
) -> Result<(StatusCode, Tagged<Line>)> {
    let found = lines.add_line(&caller, org, deal.into(), body).await?;
    Ok((StatusCode::CREATED, Tagged(found.updated_at.into(), found)))
}

/// Change a line, and with it what the deal is worth.
#[utoipa::path(patch, path = "/organizations/{org}/deals/{deal}/lines/{line}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("deal" = DealId, Path),
        ("line" = LineId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Line, headers(("ETag" = String, description = "The version"))),
        (status = "4XX", body = Problem),
    ),
)]
async fn change_line(
    State(lines): State<Arc<dyn Lines>>,
    caller: Caller,
    Path((org, deal, line)): Path<(OrganizationId, DealId, LineId)>,
    known: IfMatch,
    Json(body): Json<LinePatch>,
) -> Result<Tagged<Line>> {
    let found = lines.change_line(&caller, org, deal.into(), line, body, known).await?;
    Ok(Tagged(found.updated_at.into(), found))
}

/// Remove a line, and with it what the deal is worth; with the last one that stays.
#[utoipa::path(delete, path = "/organizations/{org}/deals/{deal}/lines/{line}/", tag = "crm",
    params(
        ("org" = OrganizationId, Path),
        ("deal" = DealId, Path),
        ("line" = LineId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn remove_line(
    State(lines): State<Arc<dyn Lines>>,
    caller: Caller,
    Path((org, deal, line)): Path<(OrganizationId, DealId, LineId)>,
    known: IfMatch,
) -> Result<StatusCode> {
    lines.remove_line(&caller, org, deal.into(), line, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The files about a deal: fifty at most, each with an address at which the caller reads it.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/files/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path)),
    responses((status = 200, body = Vec<DealFile>), (status = "4XX", body = Problem)),
)]
async fn deal_files(
    State(files): State<Arc<dyn DealFiles>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
) -> Result<Json<Vec<DealFile>>> {
    Ok(Json(files.files(&caller, org, deal.into()).await?))
}

/// Add a file about a deal.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/files/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path)),
    request_body(content = DealFileForm, content_type = "multipart/form-data"),
    responses((status = 201, body = DealFile), (status = "4XX", body = Problem)),
)]
async fn add_deal_file(
    State(files): State<Arc<dyn DealFiles>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    form: Form,
) -> Result<(StatusCode, Json<DealFile>)> {
    Ok((StatusCode::CREATED, Json(files.add_file(&caller, org, deal.into(), form.file("file")?).await?)))
}

/// Remove a file about a deal.
#[utoipa::path(delete, path = "/organizations/{org}/deals/{deal}/files/{file}/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path), ("file" = DealFileId, Path)),
    responses((status = 204), (status = "4XX", body = Problem)),
)]
async fn remove_deal_file(
    State(files): State<Arc<dyn DealFiles>>,
    caller: Caller,
    Path((org, deal, file)): Path<(OrganizationId, DealId, DealFileId)>,
) -> Result<StatusCode> {
    files.remove_file(&caller, org, deal.into(), file).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The receipts of a payment: ten at most.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/payments/{payment}/receipt/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path), ("payment" = PaymentId, Path)),
    responses((status = 200, body = Vec<DealFile>), (status = "4XX", body = Problem)),
)]
async fn receipts(
    State(files): State<Arc<dyn DealFiles>>,
    caller: Caller,
    Path((org, deal, payment)): Path<(OrganizationId, DealId, PaymentId)>,
) -> Result<Json<Vec<DealFile>>> {
    Ok(Json(files.receipts(&caller, org, deal.into(), payment).await?))
}

/// Add a receipt of a payment: a PDF or a picture. It stays as long as the payment.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/payments/{payment}/receipt/", tag = "crm",
    params(("org" = OrganizationId, Path), ("deal" = DealId, Path), ("payment" = PaymentId, Path)),
    request_body(content = DealFileForm, content_type = "multipart/form-data"),
    responses((status = 201, body = DealFile), (status = "4XX", body = Problem)),
)]
async fn add_receipt(
    State(files): State<Arc<dyn DealFiles>>,
    caller: Caller,
    Path((org, deal, payment)): Path<(OrganizationId, DealId, PaymentId)>,
    form: Form,
) -> Result<(StatusCode, Json<DealFile>)> {
    Ok((StatusCode::CREATED, Json(files.add_receipt(&caller, org, deal.into(), payment, form.file("file")?).await?)))
}

/// The receipts of a payment for a client's deal: ten at most.
#[utoipa::path(get, tag = "crm",
    path = "/organizations/{org}/clients/{client}/deals/{deal}/payments/{payment}/receipt/",
    params(
        ("org" = OrganizationId, Path),
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("payment" = PaymentId, Path),
    ),
    responses((status = 200, body = Vec<DealFile>), (status = "4XX", body = Problem)),
)]
async fn receipts_of_client(
    State(files): State<Arc<dyn DealFiles>>,
    caller: Caller,
    Path((org, client, deal, payment)): Path<(OrganizationId, ClientId, DealId, PaymentId)>,
) -> Result<Json<Vec<DealFile>>> {
    let at = Place { client: Some(client), deal };
    Ok(Json(files.receipts(&caller, org, at, payment).await?))
}

/// Add a receipt of a payment for a client's deal: a PDF or a picture.
#[utoipa::path(post, tag = "crm",
    path = "/organizations/{org}/clients/{client}/deals/{deal}/payments/{payment}/receipt/",
    params(
        ("org" = OrganizationId, Path),
        ("client" = ClientId, Path),
        ("deal" = DealId, Path),
        ("payment" = PaymentId, Path),
    ),
    request_body(content = DealFileForm, content_type = "multipart/form-data"),
    responses((status = 201, body = DealFile), (status = "4XX", body = Problem)),
)]
async fn add_receipt_of_client(
    State(files): State<Arc<dyn DealFiles>>,
    caller: Caller,
    Path((org, client, deal, payment)): Path<(OrganizationId, ClientId, DealId, PaymentId)>,
    form: Form,
) -> Result<(StatusCode, Json<DealFile>)> {
    let at = Place { client: Some(client), deal };
    Ok((StatusCode::CREATED, Json(files.add_receipt(&caller, org, at, payment, form.file("file")?).await?)))
}
