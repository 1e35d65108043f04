use garde::Validate;
use guildhall_kernel::{Error, Roles, text};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::names;

/// Which accounts to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AccountFilter {
    /// The beginning of a username or, with an `@` in it, of an address; in any case.
    pub search: Option<String>,
    /// `teacher`, `staff` or `superuser`.
    pub role: Option<String>,
    /// `true`: who may sign in; `false`: who may not.
    pub is_active: Option<bool>,
}

/// An account that staff makes for somebody. They choose the password themselves, by a link that is
/// mailed to them.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewAccount {
    /// 1 to 150 letters, digits and `@ . + - _` in one script.
    #[garde(custom(names::username))]
    pub username: String,
    /// The address.
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

/// A change that staff makes to an account; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct AccountChange {
    /// May they sign in? Whoever may not any more loses every session and token for good.
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_active: Option<bool>,
    /// All their roles: `teacher`, `staff`, `superuser`.
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub roles: Option<Vec<String>>,
}

/// Reads roles by their names.
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
