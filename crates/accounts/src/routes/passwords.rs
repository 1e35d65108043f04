use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{PasswordChange, PasswordProof, PasswordReset, Passwords, ResetRequest, TokenPair, state::AccountsState};

pub(super) fn routes() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new()
        .routes(routes!(change_password))
        .routes(routes!(request_reset))
        .routes(routes!(reset_password))
        .routes(routes!(step_up))
}

/// Change the password. Ends all sessions and returns the tokens of a new one.
#[utoipa::path(post, path = "/auth/password/change/", tag = "security", responses((status = 200, body = TokenPair)))]
async fn change_password(
    State(passwords): State<Arc<dyn Passwords>>,
    caller: Caller,
    Json(change): Json<PasswordChange>,
) -> Result<Json<TokenPair>> {
    Ok(Json(passwords.change_password(&caller, change).await?))
}

/// Request a password reset email. It is sent to verified addresses only; the response is always the same.
#[utoipa::path(post, path = "/auth/password/reset/", tag = "security", security(()), responses((status = 204)))]
async fn request_reset(
    State(passwords): State<Arc<dyn Passwords>>,
    Json(request): Json<ResetRequest>,
) -> Result<StatusCode> {
    passwords.request_reset(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Set a new password with the token from an email. Ends all sessions.
#[utoipa::path(post, path = "/auth/password/reset/confirm/", tag = "security", security(()),
    responses((status = 204)),
)]
async fn reset_password(
    State(passwords): State<Arc<dyn Passwords>>,
    Json(reset): Json<PasswordReset>,
) -> Result<StatusCode> {
    passwords.reset_password(reset).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Confirm the password for operations that require a recent check. It is valid for 15 minutes.
#[utoipa::path(post, path = "/auth/step-up/", tag = "security", responses((status = 204)))]
async fn step_up(
    State(passwords): State<Arc<dyn Passwords>>,
    caller: Caller,
    Json(proof): Json<PasswordProof>,
) -> Result<StatusCode> {
    passwords.step_up(&caller, proof).await?;
    Ok(StatusCode::NO_CONTENT)
}
