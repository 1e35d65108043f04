//! Members of organizations.

use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{MemberId, RoleId, RoleStub, TeamId};

/// The status of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum MemberStatus {
    /// They have not accepted the invitation yet, and have no access.
    Invited,
    /// They have access.
    Active,
    /// They have no access, but still own their clients, deals and tasks.
    Deactivated,
    /// They left or their account was deleted. The row remains for the records that refer to it.
    Gone,
}

/// A member of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = OrganizationMember)]
pub struct Member {
    /// The member's id.
    pub id: MemberId,
    /// The user; `null` once their account is deleted.
    pub user: Option<Person>,
    /// The user's id.
    pub user_id: Option<UserId>,
    /// Their role.
    pub role: RoleStub,
    /// Their team.
    pub team_id: Option<TeamId>,
    /// Whether they lead their team: permissions with the scope `team` then include its subteams.
    pub leads_team: bool,
    /// Their status.
    pub status: MemberStatus,
    /// Their commission on verified payments, in basis points (hundredths of a percent); `null` if the caller may not
    /// see it.
    pub commission_bp: Option<i64>,
    /// When they were added.
    pub created_at: Timestamp,
    /// When this was last changed.
    pub updated_at: Timestamp,
}

/// A new member.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewMember {
    /// The user.
    #[garde(skip)]
    pub user_id: UserId,
    /// Their role.
    #[garde(skip)]
    pub role_id: RoleId,
    /// Their team.
    #[garde(skip)]
    pub team_id: Option<TeamId>,
    /// Whether they lead their team.
    #[serde(default)]
    #[garde(skip)]
    pub leads_team: bool,
}

/// A change to a member; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct MemberPatch {
    /// Their role.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub role_id: Option<RoleId>,
    /// Their team; `null` removes them from it.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(skip)]
    pub team_id: Option<Option<TeamId>>,
    /// Whether they lead their team.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub leads_team: Option<bool>,
    /// `active` or `deactivated`. The status of an invited member cannot be changed.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub status: Option<MemberStatus>,
    /// Their commission on payments that are verified from now on, in basis points (hundredths of a percent).
    #[garde(inner(range(min = 0, max = 10_000)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub commission_bp: Option<i64>,
}

/// A reassignment of a member's clients, deals and tasks.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct Reassign {
    /// The user who gets them: an active member.
    #[garde(skip)]
    pub to_user_id: UserId,
    /// Also replace the member as creator, not only as owner.
    #[serde(default)]
    #[garde(skip)]
    pub include_creator: bool,
}

/// The number of reassigned objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reassigned {
    /// Clients.
    pub clients: u64,
    /// Deals.
    pub deals: u64,
}

/// The caller's membership in an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OwnMembership {
    /// The member.
    pub member: Member,
    /// The permissions of the member's role.
    pub permissions: Vec<String>,
}

/// Objects that prevent a deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MemberBlocker {
    /// The kind of the objects: `deal`.
    pub model: &'static str,
    /// The field by which they refer to what is deleted: `created_by`.
    pub relation: &'static str,
    /// The number of objects.
    pub count: u64,
    /// The names of the first few.
    pub examples: Vec<String>,
}
