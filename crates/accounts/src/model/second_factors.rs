use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
