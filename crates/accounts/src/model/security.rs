use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::tokens::not_empty;
use crate::names;

/// A password change by a user who knows the current password.
#[derive(Clone, Deserialize, ToSchema, Validate)]
pub struct PasswordChange {
    /// The current password.
    #[garde(custom(not_empty))]
    #[schema(format = Password)]
    pub current_password: String,
    /// The new password.
    #[garde(skip)]
    #[schema(format = Password)]
    pub new_password: String,
}

/// A request for a password reset link.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct ResetRequest {
    /// The verified email address of the account.
    #[garde(custom(names::email))]
    pub email: String,
}

/// A new password, set with the token from an email.
#[derive(Clone, Deserialize, ToSchema)]
pub struct PasswordReset {
    /// The token from the email.
    pub token: String,
    /// The new password.
    #[schema(format = Password)]
    pub new_password: String,
}

/// A change of email address.
#[derive(Clone, Deserialize, ToSchema, Validate)]
pub struct EmailChange {
    /// The new email address.
    #[garde(custom(names::email))]
    pub email: String,
    /// The current password.
    #[garde(custom(not_empty))]
    #[schema(format = Password)]
    pub password: String,
}

/// The password, entered again to confirm an operation.
#[derive(Clone, Deserialize, ToSchema, Validate)]
pub struct PasswordProof {
    /// The current password.
    #[garde(custom(not_empty))]
    #[schema(format = Password)]
    pub password: String,
}

/// The setup of a second factor.
#[derive(Clone, Serialize, ToSchema)]
pub struct TotpSetup {
    /// The secret in base 32, for manual entry into an authenticator app.
    pub secret: String,
    /// The `otpauth` URL, to be shown as a QR code.
    pub otpauth_url: String,
}

/// A code from an authenticator app.
#[derive(Clone, Deserialize, ToSchema)]
pub struct TotpCode {
    /// Six digits.
    pub code: String,
}

/// Recovery codes for a lost authenticator. They are shown only once.
#[derive(Clone, Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// Each works once.
    pub recovery_codes: Vec<String>,
}
