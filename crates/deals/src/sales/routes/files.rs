//! Files of deals, and receipts of payments.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_files::Form;
use guildhall_kernel::{Caller, Json, Path, Result, routes};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{DealFile, DealFileId, DealFiles, DealId, OrganizationId, extract::target::PaymentPath, state::DealsState};

pub(crate) fn routes() -> OpenApiRouter<DealsState> {
    OpenApiRouter::new()
        .routes(routes!(deal_files, add_deal_file))
        .routes(routes!(remove_deal_file))
        .routes(routes!(receipts, add_receipt))
}

/// A form with a file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is sent")]
struct DealFileForm {
    /// The file.
    #[schema(format = Binary)]
    file: Vec<u8>,
}

/// List the files of a deal, at most 50, each with a download URL for the caller.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/files/", tag = "crm",
    responses((status = 200, body = Vec<DealFile>)),
)]
async fn deal_files(
    State(files): State<Arc<dyn DealFiles>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
) -> Result<Json<Vec<DealFile>>> {
    Ok(Json(files.files(&caller, org, deal.into()).await?))
}

/// Add a file to a deal.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/files/", tag = "crm",
    request_body(content = DealFileForm, content_type = "multipart/form-data"),
    responses((status = 201, body = DealFile)),
)]
async fn add_deal_file(
    State(files): State<Arc<dyn DealFiles>>,
    caller: Caller,
    Path((org, deal)): Path<(OrganizationId, DealId)>,
    form: Form,
) -> Result<(StatusCode, Json<DealFile>)> {
    Ok((StatusCode::CREATED, Json(files.add_file(&caller, org, deal.into(), form.file("file")?).await?)))
}

/// Remove a file from a deal.
#[utoipa::path(delete, path = "/organizations/{org}/deals/{deal}/files/{file}/", tag = "crm",
    responses((status = 204)),
)]
async fn remove_deal_file(
    State(files): State<Arc<dyn DealFiles>>,
    caller: Caller,
    Path((org, deal, file)): Path<(OrganizationId, DealId, DealFileId)>,
) -> Result<StatusCode> {
    files.remove_file(&caller, org, deal.into(), file).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the receipts of a payment, at most 10.
#[utoipa::path(get, path = "/organizations/{org}/deals/{deal}/payments/{payment}/receipt/", tag = "crm",
    responses((status = 200, body = Vec<DealFile>)),
)]
pub(crate) async fn receipts(
    State(files): State<Arc<dyn DealFiles>>,
    caller: Caller,
    PaymentPath { org, deal, payment }: PaymentPath,
) -> Result<Json<Vec<DealFile>>> {
    Ok(Json(files.receipts(&caller, org, deal, payment).await?))
}

/// Add a receipt to a payment: a PDF or an image. Receipts cannot be removed.
#[utoipa::path(post, path = "/organizations/{org}/deals/{deal}/payments/{payment}/receipt/", tag = "crm",
    request_body(content = DealFileForm, content_type = "multipart/form-data"),
    responses((status = 201, body = DealFile)),
)]
pub(crate) async fn add_receipt(
    State(files): State<Arc<dyn DealFiles>>,
    caller: Caller,
    PaymentPath { org, deal, payment }: PaymentPath,
    form: Form,
) -> Result<(StatusCode, Json<DealFile>)> {
    Ok((StatusCode::CREATED, Json(files.add_receipt(&caller, org, deal, payment, form.file("file")?).await?)))
}
