use garde::Validate;
use guildhall_files::{FileId, Files, Fit, Size};
use guildhall_kernel::{Person, Roles, Timestamp, UserId, text};
use sea_orm::DerivePartialModel;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{entity::user, names};

/// A user as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    /// The account's id.
    pub id: UserId,
    /// The name that they sign in with.
    pub username: String,
    /// The name to show: their own choice, else first and last name, else the username.
    pub display_name: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Absolute URL of their picture, if they have one; valid as long as they have it.
    pub avatar_url: Option<String>,
    /// `teacher`, `staff`, `superuser`.
    pub roles: Roles,
    /// When the account was created.
    pub date_joined: Timestamp,
}

impl From<User> for Person {
    fn from(user: User) -> Self {
        Self { id: user.id, username: user.username, display_name: user.display_name, avatar_url: user.avatar_url }
    }
}

/// A user as they see themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Account {
    /// The public part.
    #[serde(flatten)]
    pub user: User,
    /// The private part.
    #[serde(flatten)]
    pub details: AccountDetails,
    /// When the account last changed.
    #[serde(skip)]
    pub updated_at: Timestamp,
}

/// Details that only the user and staff see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountDetails {
    /// Email address.
    pub email: String,
    /// Whether the email address has been verified.
    pub email_verified: bool,
    /// Whether the user can sign in.
    pub is_active: bool,
    /// When they last signed in.
    pub last_login: Option<Timestamp>,
}

/// A user in the directory; details are included for staff only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DirectoryEntry {
    /// The public part.
    #[serde(flatten)]
    pub user: User,
    /// For staff only: the fields of `AccountDetails`.
    #[serde(flatten)]
    #[schema(value_type = Object)] // a flattened `Option` would be described as all fields or null
    pub details: Option<AccountDetails>,
}

/// The columns of [`User`].
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "user::Entity")]
pub(crate) struct UserRow {
    pub(crate) id: UserId,
    username: String,
    display_name: String,
    first_name: String,
    last_name: String,
    is_teacher: bool,
    is_staff: bool,
    is_superuser: bool,
    created_at: Timestamp,
    picture_id: Option<FileId>,
}

/// The only size of a picture, sharp also where it is shown large.
pub(crate) const PICTURE: Size = Size { name: "square", width: 256, height: 256, fit: Fit::Cover };

fn picture_url(files: &Files, picture: FileId) -> String {
    files.permanent_url(picture, Some(PICTURE.name), "picture")
}

impl UserRow {
    pub(crate) fn into_user(self, files: &Files) -> User {
        let full_name = format!("{} {}", self.first_name, self.last_name);
        let candidates = [self.display_name.as_str(), full_name.trim(), self.username.as_str()];
        let display_name = candidates.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned();
        User {
            id: self.id,
            display_name,
            username: self.username,
            first_name: self.first_name,
            last_name: self.last_name,
            avatar_url: self.picture_id.map(|picture| picture_url(files, picture)),
            roles: Roles { teacher: self.is_teacher, staff: self.is_staff, superuser: self.is_superuser },
            date_joined: self.created_at,
        }
    }
}

/// The columns of [`Account`].
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "user::Entity")]
pub(crate) struct AccountRow {
    #[sea_orm(nested)]
    user: UserRow,
    email: String,
    email_verified_at: Option<Timestamp>,
    is_active: bool,
    last_login: Option<Timestamp>,
    pub(crate) updated_at: Timestamp,
}

impl From<user::Model> for AccountRow {
    fn from(row: user::Model) -> Self {
        let user = UserRow {
            id: row.id,
            username: row.username,
            display_name: row.display_name,
            first_name: row.first_name,
            last_name: row.last_name,
            is_teacher: row.is_teacher,
            is_staff: row.is_staff,
            is_superuser: row.is_superuser,
            created_at: row.created_at,
            picture_id: row.picture_id,
        };
        let user::Model { email, email_verified_at, is_active, last_login, updated_at, .. } = row;
        Self { user, email, email_verified_at, is_active, last_login, updated_at }
    }
}

impl AccountRow {
    pub(crate) fn into_account(self, files: &Files) -> Account {
        let details = AccountDetails {
            email: self.email,
            email_verified: self.email_verified_at.is_some(),
            is_active: self.is_active,
            last_login: self.last_login,
        };
        Account { user: self.user.into_user(files), details, updated_at: self.updated_at }
    }
}

/// A registration.
#[derive(Clone, Deserialize, ToSchema, Validate)]
pub struct NewUser {
    /// 1 to 150 letters, digits and `@ . + - _` in one script.
    #[garde(custom(names::username))]
    pub username: String,
    /// Email address. The response does not disclose whether it is already in use.
    #[garde(custom(names::email))]
    pub email: String,
    /// At least 8 characters, at most 1,024 bytes; not common, not similar to the username or email address.
    #[garde(skip)]
    #[schema(format = Password)]
    pub password: String,
    /// First name.
    #[serde(default)]
    #[garde(custom(text::line(0, 150)))]
    pub first_name: String,
    /// Last name.
    #[serde(default)]
    #[garde(custom(text::line(0, 150)))]
    pub last_name: String,
}

/// A change to the caller's own account; absent fields stay unchanged.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct AccountPatch {
    /// The name to show; empty resets it to first and last name.
    #[garde(custom(text::maybe(text::line(0, 150))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub display_name: Option<String>,
    /// First name.
    #[garde(custom(text::maybe(text::line(0, 150))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub first_name: Option<String>,
    /// Last name.
    #[garde(custom(text::maybe(text::line(0, 150))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub last_name: Option<String>,
}

/// Which users to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UserFilter {
    /// Username prefix, case-insensitive.
    pub search: Option<String>,
}
