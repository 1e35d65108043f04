use garde::Validate;
use guildhall_kernel::text;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{accounts::Account, passwords::not_empty};

/// A username and a password.
#[derive(Clone, Deserialize, ToSchema, Validate)]
pub struct SignIn {
    /// The username, case-insensitive, or a verified email address.
    #[garde(custom(text::line(1, 254)))]
    pub username: String,
    /// The password.
    #[garde(custom(not_empty))]
    #[schema(format = Password)]
    pub password: String,
}

/// The second step of a sign-in.
#[derive(Clone, Deserialize, ToSchema, Validate)]
pub struct SecondFactor {
    /// The `mfa_token` from the first step.
    #[garde(skip)]
    pub mfa_token: String,
    /// A code from the authenticator app, or a recovery code.
    #[garde(custom(text::line(1, 40)))]
    pub code: String,
}

/// An access token and a refresh token.
#[derive(Clone, Serialize, ToSchema)]
pub struct TokenPair {
    /// For `Authorization: Bearer`.
    pub access: String,
    /// For `POST /api/auth/refresh/`; single-use.
    pub refresh: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// Lifetime of the access token, in seconds.
    pub expires_in: i64,
}

/// The result of a sign-in.
#[derive(Clone, Serialize, ToSchema)]
pub struct SignedIn {
    /// The tokens of the new session.
    #[serde(flatten)]
    pub tokens: TokenPair,
    /// The user who signed in.
    pub user: Account,
}

/// A ticket for one WebSocket.
#[derive(Clone, Serialize, ToSchema)]
pub struct Ticket {
    /// For `?ticket=`; single-use.
    pub ticket: String,
    /// Lifetime in seconds.
    pub expires_in: u64,
}
