use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

/// A person: the one user table, which everything else points at.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: UserId,
    /// The id that tokens carry.
    #[sea_orm(unique)]
    pub public_id: Uuid,
    pub username: String,
    /// What makes two names the same.
    #[sea_orm(unique)]
    pub username_key: String,
    pub display_name: String,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub email_key: String,
    /// Of all accounts with an address only one can have it verified.
    pub email_verified_at: Option<Timestamp>,
    /// PHC format; without one nobody signs in with a password.
    pub password_hash: Option<String>,
    pub is_active: bool,
    pub is_teacher: bool,
    pub is_staff: bool,
    pub is_superuser: bool,
    /// Sessions opened under an earlier number are over.
    pub auth_epoch: i64,
    pub last_login: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Nothing of the person is left but the row that others point at.
    pub erased_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
