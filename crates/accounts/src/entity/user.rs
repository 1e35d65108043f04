use guildhall_files::FileId;
use guildhall_kernel::{Roles, Timestamp, UserId};
use sea_orm::entity::prelude::*;

/// A user. Other tables reference this one.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: UserId,
    /// The `sub` claim of tokens.
    #[sea_orm(unique)]
    pub public_id: Uuid,
    pub username: String,
    /// The normalized username, for comparison.
    #[sea_orm(unique)]
    pub username_key: String,
    pub display_name: String,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub email_key: String,
    /// When the email address was verified. Only one account per address can have it verified.
    pub email_verified_at: Option<Timestamp>,
    /// In PHC format, or an imported Django hash; `NULL` disables sign-in with a password.
    pub password_hash: Option<PasswordHash>,
    pub is_active: bool,
    pub is_teacher: bool,
    pub is_staff: bool,
    pub is_superuser: bool,
    /// Incremented to invalidate all earlier sessions and one-time tokens.
    pub auth_epoch: i64,
    pub last_login: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When the personal data was erased; only the row itself remains.
    pub erased_at: Option<Timestamp>,
    /// A square picture. Its file is deleted with the user, and when another takes its place.
    pub picture_id: Option<FileId>,
}

/// The hash of a password; redacted in debug output.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

impl Model {
    pub(crate) fn roles(&self) -> Roles {
        Roles { teacher: self.is_teacher, staff: self.is_staff, superuser: self.is_superuser }
    }
}

impl ActiveModelBehavior for ActiveModel {}
