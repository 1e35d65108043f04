use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use super::passwords::not_empty;
use crate::names;

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
