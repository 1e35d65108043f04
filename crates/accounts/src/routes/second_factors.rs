use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Problem, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{PasswordProof, RecoveryCodes, SecondFactors, TotpCode, TotpSetup, state::AccountsState};

pub(super) fn routes() -> OpenApiRouter<AccountsState> {
    OpenApiRouter::new().routes(routes!(set_up_totp, remove_totp)).routes(routes!(confirm_totp))
}

/// Set up a second factor. It takes effect once it is confirmed.
#[utoipa::path(post, path = "/auth/totp/", tag = "security",
    responses(
        (status = 200, body = TotpSetup),
        (status = 403, description = "`step_up_required`", body = Problem),
        (status = 409, description = "`second_factor_exists`", body = Problem),
    ),
)]
async fn set_up_totp(State(factors): State<Arc<dyn SecondFactors>>, caller: Caller) -> Result<Json<TotpSetup>> {
    Ok(Json(factors.set_up_totp(&caller).await?))
}

/// Remove the second factor.
#[utoipa::path(delete, path = "/auth/totp/", tag = "security", responses((status = 204)))]
async fn remove_totp(
    State(factors): State<Arc<dyn SecondFactors>>,
    caller: Caller,
    Json(proof): Json<PasswordProof>,
) -> Result<StatusCode> {
    factors.remove_totp(&caller, proof).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Confirm the second factor with a code. The recovery codes are shown only once.
#[utoipa::path(post, path = "/auth/totp/confirm/", tag = "security", responses((status = 200, body = RecoveryCodes)))]
async fn confirm_totp(
    State(factors): State<Arc<dyn SecondFactors>>,
    caller: Caller,
    Json(code): Json<TotpCode>,
) -> Result<Json<RecoveryCodes>> {
    Ok(Json(factors.confirm_totp(&caller, code).await?))
}
