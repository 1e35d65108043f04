use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::names;

pub(super) fn not_empty(password: &str, (): &()) -> garde::Result {
    if password.is_empty() { Err(garde::Error::new("This field may not be blank.")) } else { Ok(()) }
}

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

/// The password, entered again to confirm an operation.
#[derive(Clone, Deserialize, ToSchema, Validate)]
pub struct PasswordProof {
    /// The current password.
    #[garde(custom(not_empty))]
    #[schema(format = Password)]
    pub password: String,
}
