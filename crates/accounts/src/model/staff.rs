use garde::Validate;
use guildhall_kernel::{Error, Roles, text};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::names;

/// Which accounts to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AccountFilter {
    /// Username prefix or, if it contains an `@`, email prefix; case-insensitive.
    pub search: Option<String>,
    /// `teacher`, `staff` or `superuser`.
    pub role: Option<String>,
    /// `true`: active accounts only; `false`: deactivated accounts only.
    pub is_active: Option<bool>,
}

/// An account created by staff. The user chooses the password with a link that is sent by email.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewAccount {
    /// 1 to 150 letters, digits and `@ . + - _` in one script.
    #[garde(custom(names::username))]
    pub username: String,
    /// Email address.
    #[garde(custom(names::email))]
    pub email: String,
    /// First name.
    #[serde(default)]
    #[garde(custom(text::line(0, 150)))]
    pub first_name: String,
    /// Last name.
    #[serde(default)]
    #[garde(custom(text::line(0, 150)))]
    pub last_name: String,
    /// `teacher`, `staff`, `superuser`.
    #[serde(default)]
    #[garde(skip)]
    pub roles: Vec<String>,
}

/// A change to an account by staff; absent fields stay unchanged.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct AccountChange {
    /// Whether the user can sign in. Deactivation permanently ends all sessions and revokes all tokens.
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_active: Option<bool>,
    /// The complete list of roles: `teacher`, `staff`, `superuser`.
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub roles: Option<Vec<String>>,
}

/// Parses role names.
pub(crate) fn roles(names: &[String]) -> Result<Roles, Error> {
    let mut roles = Roles::default();
    for name in names {
        match name.as_str() {
            "teacher" => roles.teacher = true,
            "staff" => roles.staff = true,
            "superuser" => roles.superuser = true,
            _ => return Err(Error::field("roles", format!("Choose from: {}.", Roles::NAMES.join(", ")))),
        }
    }
    Ok(roles)
}
