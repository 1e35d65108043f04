//! Roles of members.

use garde::Validate;
use guildhall_kernel::{Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::RoleId;

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = OrganizationRole)]
pub struct Role {
    /// The role's id.
    pub id: RoleId,
    /// Its identifier, if it is a preset role.
    pub key: Option<String>,
    /// Its name.
    pub name: String,
    /// Whether it is the owner's role, which has all permissions and cannot be changed.
    pub is_system: bool,
    /// Its permissions.
    pub permissions: Vec<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A role in other objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RoleStub {
    /// The role's id.
    pub id: RoleId,
    /// Its name.
    pub name: String,
}

/// A new role.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewRole {
    /// Its name.
    #[garde(custom(text::line(1, 100)))]
    pub name: String,
    /// Its permissions, all of which the caller must have.
    #[serde(default)]
    #[garde(length(max = 200))]
    pub permissions: Vec<String>,
}

/// A change to a role; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct RolePatch {
    /// Its name.
    #[garde(custom(text::maybe(text::line(1, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// Its permissions, all of which the caller must have.
    #[garde(inner(length(max = 200)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub permissions: Option<Vec<String>>,
}
