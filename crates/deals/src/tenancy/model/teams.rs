//! Teams of members.

use garde::Validate;
use guildhall_kernel::{Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::TeamId;

/// A team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Team {
    /// The team's id.
    pub id: TeamId,
    /// Its name.
    pub name: String,
    /// The parent team.
    pub parent_id: Option<TeamId>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A new team.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewTeam {
    /// Its name.
    #[garde(custom(text::line(1, 100)))]
    pub name: String,
    /// The parent team.
    #[garde(skip)]
    pub parent_id: Option<TeamId>,
}

/// A change to a team; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct TeamPatch {
    /// Its name.
    #[garde(custom(text::maybe(text::line(1, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// The parent team; `null` makes it a top-level team.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(skip)]
    pub parent_id: Option<Option<TeamId>>,
}
