use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Problem, Result};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::AccountsState;
use crate::{
    EmailChange, PasswordChange, PasswordProof, PasswordReset, RecoveryCodes, ResetRequest, Security, TokenPair,
    TotpCode, TotpSetup,
};

pub(super) fn router() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new()
        .routes(routes!(change_password))
        .routes(routes!(request_reset))
        .routes(routes!(reset_password))
        .routes(routes!(change_email))
        .routes(routes!(confirm_email))
        .routes(routes!(resend_verification))
        .routes(routes!(step_up))
        .routes(routes!(set_up_totp, remove_totp))
        .routes(routes!(confirm_totp))
}

/// The token of a letter.
#[derive(Deserialize, ToSchema)]
struct MailedToken {
    /// From the letter.
    token: String,
}

/// Change the password. Every other session ends; the answer is a new one.
#[utoipa::path(post, path = "/auth/password/change/", tag = "security", responses(
    (status = 200, body = TokenPair),
    (status = "4XX", body = Problem),
))]
async fn change_password(
    State(security): State<Arc<dyn Security>>,
    caller: Caller,
    Json(change): Json<PasswordChange>,
) -> Result<Json<TokenPair>> {
    Ok(Json(security.change_password(&caller, change).await?))
}

/// Ask for a letter with a link to choose a new password with. It goes to verified addresses only; the
/// answer is the same for all.
#[utoipa::path(post, path = "/auth/password/reset/", tag = "security", security(()), responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn request_reset(
    State(security): State<Arc<dyn Security>>,
    Json(request): Json<ResetRequest>,
) -> Result<StatusCode> {
    security.request_reset(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Choose a new password with the token of a letter. Every session ends.
#[utoipa::path(post, path = "/auth/password/reset/confirm/", tag = "security", security(()), responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn reset_password(
    State(security): State<Arc<dyn Security>>,
    Json(reset): Json<PasswordReset>,
) -> Result<StatusCode> {
    security.reset_password(reset).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ask for another address. The present one stays until the new one is confirmed.
#[utoipa::path(post, path = "/auth/email/change/", tag = "security", responses(
    (status = 202),
    (status = "4XX", body = Problem),
))]
async fn change_email(
    State(security): State<Arc<dyn Security>>,
    caller: Caller,
    Json(change): Json<EmailChange>,
) -> Result<StatusCode> {
    security.change_email(&caller, change).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Confirm an address with the token of a letter.
#[utoipa::path(post, path = "/auth/email/verify/", tag = "security", security(()), responses(
    (status = 204),
    (status = 409, description = "`email_taken`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn confirm_email(
    State(security): State<Arc<dyn Security>>,
    Json(mailed): Json<MailedToken>,
) -> Result<StatusCode> {
    security.confirm_email(&mailed.token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ask for the letter to a new address once more; at most one a minute is sent.
#[utoipa::path(post, path = "/auth/email/resend/", tag = "security", responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn resend_verification(State(security): State<Arc<dyn Security>>, caller: Caller) -> Result<StatusCode> {
    security.resend_verification(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Show the password again, as some acts ask for: it counts for a quarter of an hour.
#[utoipa::path(post, path = "/auth/step-up/", tag = "security", responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn step_up(
    State(security): State<Arc<dyn Security>>,
    caller: Caller,
    Json(proof): Json<PasswordProof>,
) -> Result<StatusCode> {
    security.step_up(&caller, proof).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Set up a second factor. It counts once it is confirmed.
#[utoipa::path(post, path = "/auth/totp/", tag = "security", responses(
    (status = 200, body = TotpSetup),
    (status = 403, description = "`step_up_required`", body = Problem),
    (status = 409, description = "`second_factor_exists`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn set_up_totp(State(security): State<Arc<dyn Security>>, caller: Caller) -> Result<Json<TotpSetup>> {
    Ok(Json(security.set_up_totp(&caller).await?))
}

/// Take the second factor away.
#[utoipa::path(delete, path = "/auth/totp/", tag = "security", responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn remove_totp(
    State(security): State<Arc<dyn Security>>,
    caller: Caller,
    Json(proof): Json<PasswordProof>,
) -> Result<StatusCode> {
    security.remove_totp(&caller, proof).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Confirm the second factor with a code; the recovery codes are shown this once.
#[utoipa::path(post, path = "/auth/totp/confirm/", tag = "security", responses(
    (status = 200, body = RecoveryCodes),
    (status = "4XX", body = Problem),
))]
async fn confirm_totp(
    State(security): State<Arc<dyn Security>>,
    caller: Caller,
    Json(code): Json<TotpCode>,
) -> Result<Json<RecoveryCodes>> {
    Ok(Json(security.confirm_totp(&caller, code).await?))
}
