use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::tokens::not_empty;
use crate::names;

/// A new password for whoever knows the present one.
#[derive(Clone, Deserialize, ToSchema, Validate)]
pub struct PasswordChange {
    /// The present password.
    #[garde(custom(not_empty))]
    #[schema(format = Password)]
    pub current_password: String,
    /// The new one.
    #[garde(skip)]
    #[schema(format = Password)]
    pub new_password: String,
}

/// Somebody has forgotten a password.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct ResetRequest {
    /// The address of the account.
    #[garde(custom(names::email))]
    pub email: String,
}

/// A new password for whoever has the letter.
#[derive(Clone, Deserialize, ToSchema)]
pub struct PasswordReset {
    /// From the letter.
    pub token: String,
    /// The new password.
    #[schema(format = Password)]
    pub new_password: String,
}

/// Another address.
#[derive(Clone, Deserialize, ToSchema, Validate)]
pub struct EmailChange {
    /// The new address.
    #[garde(custom(names::email))]
    pub email: String,
    /// The password.
    #[garde(custom(not_empty))]
    #[schema(format = Password)]
    pub password: String,
}

/// Shows the password again.
#[derive(Clone, Deserialize, ToSchema, Validate)]
pub struct PasswordProof {
    /// The password.
    #[garde(custom(not_empty))]
    #[schema(format = Password)]
    pub password: String,
}

/// A second factor that is to be set up.
#[derive(Clone, Serialize, ToSchema)]
pub struct TotpSetup {
    /// The secret, in base 32, to be typed into an authenticator.
    pub secret: String,
    /// The same to be shown as a QR code.
    pub otpauth_url: String,
}

/// A code from an authenticator.
#[derive(Clone, Deserialize, ToSchema)]
pub struct TotpCode {
    /// Six digits.
    pub code: String,
}

/// Codes for whoever loses the authenticator: the only time that they are shown.
#[derive(Clone, Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// Each works once.
    pub recovery_codes: Vec<String>,
}
