use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Problem, Result, routes};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

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

/// A token from an email.
#[derive(Deserialize, ToSchema)]
struct MailedToken {
    /// The token from the email.
    token: String,
}

/// Change the password. Ends all sessions and returns the tokens of a new one.
#[utoipa::path(post, path = "/auth/password/change/", tag = "security", responses((status = 200, body = TokenPair)))]
async fn change_password(
    State(security): State<Arc<dyn Security>>,
    caller: Caller,
    Json(change): Json<PasswordChange>,
) -> Result<Json<TokenPair>> {
    Ok(Json(security.change_password(&caller, change).await?))
}

/// Request a password reset email. It is sent to verified addresses only; the response is always the same.
#[utoipa::path(post, path = "/auth/password/reset/", tag = "security", security(()), responses((status = 204)))]
async fn request_reset(
    State(security): State<Arc<dyn Security>>,
    Json(request): Json<ResetRequest>,
) -> Result<StatusCode> {
    security.request_reset(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Set a new password with the token from an email. Ends all sessions.
#[utoipa::path(post, path = "/auth/password/reset/confirm/", tag = "security", security(()),
    responses((status = 204)),
)]
async fn reset_password(
    State(security): State<Arc<dyn Security>>,
    Json(reset): Json<PasswordReset>,
) -> Result<StatusCode> {
    security.reset_password(reset).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Change the email address. The current one stays in use until the new one is confirmed.
#[utoipa::path(post, path = "/auth/email/change/", tag = "security", responses((status = 202)))]
async fn change_email(
    State(security): State<Arc<dyn Security>>,
    caller: Caller,
    Json(change): Json<EmailChange>,
) -> Result<StatusCode> {
    security.change_email(&caller, change).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Confirm an email address with the token from an email.
#[utoipa::path(post, path = "/auth/email/verify/", tag = "security", security(()),
    responses((status = 204), (status = 409, description = "`email_taken`", body = Problem)),
)]
async fn confirm_email(State(security): State<Arc<dyn Security>>, Json(body): Json<MailedToken>) -> Result<StatusCode> {
    security.confirm_email(&body.token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Resend the verification email. At most one per minute is sent.
#[utoipa::path(post, path = "/auth/email/resend/", tag = "security", responses((status = 204)))]
async fn resend_verification(State(security): State<Arc<dyn Security>>, caller: Caller) -> Result<StatusCode> {
    security.resend_verification(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Confirm the password for operations that require a recent check. It is valid for 15 minutes.
#[utoipa::path(post, path = "/auth/step-up/", tag = "security", responses((status = 204)))]
async fn step_up(
    State(security): State<Arc<dyn Security>>,
    caller: Caller,
    Json(proof): Json<PasswordProof>,
) -> Result<StatusCode> {
    security.step_up(&caller, proof).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Set up a second factor. It takes effect once it is confirmed.
#[utoipa::path(post, path = "/auth/totp/", tag = "security",
    responses(
        (status = 200, body = TotpSetup),
        (status = 403, description = "`step_up_required`", body = Problem),
        (status = 409, description = "`second_factor_exists`", body = Problem),
    ),
)]
async fn set_up_totp(State(security): State<Arc<dyn Security>>, caller: Caller) -> Result<Json<TotpSetup>> {
    Ok(Json(security.set_up_totp(&caller).await?))
}

/// Remove the second factor.
#[utoipa::path(delete, path = "/auth/totp/", tag = "security", responses((status = 204)))]
async fn remove_totp(
    State(security): State<Arc<dyn Security>>,
    caller: Caller,
    Json(proof): Json<PasswordProof>,
) -> Result<StatusCode> {
    security.remove_totp(&caller, proof).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Confirm the second factor with a code. The recovery codes are shown only once.
#[utoipa::path(post, path = "/auth/totp/confirm/", tag = "security", responses((status = 200, body = RecoveryCodes)))]
async fn confirm_totp(
    State(security): State<Arc<dyn Security>>,
    caller: Caller,
    Json(code): Json<TotpCode>,
) -> Result<Json<RecoveryCodes>> {
    Ok(Json(security.confirm_totp(&caller, code).await?))
}
