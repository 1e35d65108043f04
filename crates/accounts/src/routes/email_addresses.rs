use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Problem, Result, routes};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{EmailAddresses, EmailChange, state::AccountsState};

pub(super) fn routes() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new()
        .routes(routes!(change_email))
        .routes(routes!(confirm_email))
        .routes(routes!(resend_verification))
}

/// A token from an email.
#[derive(Deserialize, ToSchema)]
struct MailedToken {
    /// The token from the email.
    token: String,
}

/// Change the email address. The current one stays in use until the new one is confirmed.
#[utoipa::path(post, path = "/auth/email/change/", tag = "security", responses((status = 202)))]
async fn change_email(
    State(addresses): State<Arc<dyn EmailAddresses>>,
    caller: Caller,
    Json(change): Json<EmailChange>,
) -> Result<StatusCode> {
    addresses.change_email(&caller, change).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Confirm an email address with the token from an email.
#[utoipa::path(post, path = "/auth/email/verify/", tag = "security", security(()),
    responses((status = 204), (status = 409, description = "`email_taken`", body = Problem)),
)]
async fn confirm_email(
    State(addresses): State<Arc<dyn EmailAddresses>>,
    Json(body): Json<MailedToken>,
) -> Result<StatusCode> {
    addresses.confirm_email(&body.token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Resend the verification email. At most one per minute is sent.
#[utoipa::path(post, path = "/auth/email/resend/", tag = "security", responses((status = 204)))]
async fn resend_verification(State(addresses): State<Arc<dyn EmailAddresses>>, caller: Caller) -> Result<StatusCode> {
    addresses.resend_verification(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
