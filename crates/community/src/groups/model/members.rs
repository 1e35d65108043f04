use guildhall_kernel::{Person, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    entity::membership::Role,
    id::{GroupId, RequestId},
};

/// The outcome of joining a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Joined {
    /// The caller is a member.
    Member {
        /// Whether the caller became a member just now.
        #[serde(skip)]
        new: bool,
    },
    /// The caller has requested to join; a moderator decides.
    Requested {
        /// The request's id.
        request_id: RequestId,
    },
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = GroupMember)]
pub struct Member {
    /// The user.
    pub user: Option<Person>,
    /// Their role.
    pub role: Role,
    /// When they joined.
    pub joined_at: Timestamp,
}

/// Filters of the list of members.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MemberFilter {
    /// Only members whose name begins with this; case-insensitive.
    pub search: Option<String>,
    /// Only members with this role.
    pub role: Option<Role>,
}

/// A membership: a user, a group and a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Membership {
    /// The membership's id.
    pub id: i64,
    /// The group.
    pub group: GroupId,
    /// The user.
    pub user: Option<Person>,
    /// Their role.
    pub role: Role,
    /// When they joined.
    pub joined_at: Timestamp,
}

/// Filters of the list of memberships.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MembershipFilter {
    /// Only memberships in this group.
    pub group: Option<GroupId>,
    /// Only memberships of this user.
    pub user: Option<UserId>,
}
