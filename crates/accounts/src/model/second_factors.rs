use guildhall_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether a user has a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondFactorStatus {
    /// Since when signing in requires one, if it does.
    pub since: Option<Timestamp>,
    /// The number of recovery codes that have not been used.
    pub recovery_codes_left: u64,
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
