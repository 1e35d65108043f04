use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, present, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{GroupId, InviteId, RequestId};
use crate::entity::membership::Role;

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

/// The status of a request to join a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    /// Not decided yet.
    Pending,
    /// Approved by a moderator.
    Approved,
    /// Denied by a moderator. The user may request again.
    Denied,
    /// Withdrawn by the user.
    Withdrawn,
}

/// A request to join a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct JoinRequest {
    /// The request's id.
    pub id: RequestId,
    /// The group.
    pub group: GroupId,
    /// The user who requests to join.
    pub user: Option<Person>,
    /// Their message to the moderators.
    pub note: String,
    /// The request's status.
    pub status: RequestStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
}

/// The stored status of an invite. Expiry is not stored; it follows from `expires_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum InviteState {
    /// Can be used until it expires.
    Pending,
    /// Has been used as often as allowed.
    Accepted,
    /// Revoked by a moderator.
    Revoked,
}

/// The status of an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InviteStatus {
    /// Can be used.
    Pending,
    /// Has been used as often as allowed.
    Accepted,
    /// Revoked by a moderator.
    Revoked,
    /// Has expired.
    Expired,
}

/// An invite to create: for a user, for an email address, or with neither for whoever has the link.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewInvite {
    /// The user to invite.
    #[serde(alias = "invitee_id", default, deserialize_with = "present")]
    #[schema(value_type = UserId)]
    #[garde(skip)]
    pub user_id: Option<Option<UserId>>,
    /// The email address to invite; an email is sent there.
    #[serde(alias = "invitee_email", default, deserialize_with = "present")]
    #[schema(value_type = String)]
    #[garde(inner(inner(custom(email_address))))]
    pub email: Option<Option<String>>,
    /// How many days it is valid; 7 by default.
    #[garde(inner(range(min = 1, max = 365)))]
    pub expires_days: Option<i64>,
    /// How often it can be used. By default, once for a user or an email address, and without limit for a link.
    #[garde(inner(range(min = 1, max = 1_000_000)))]
    pub max_uses: Option<i64>,
}

/// Checks the form only; whether the address exists shows when email is delivered.
fn email_address(email: &String, (): &()) -> garde::Result {
    text::line(3, 254)(email, &())?;
    let is_valid = email.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !host.starts_with('.') && !host.ends_with('.') && !host.contains('@')
    });
    if is_valid && !email.contains(char::is_whitespace) {
        Ok(())
    } else {
        Err(garde::Error::new("Enter a valid email address."))
    }
}

/// An invite that was just created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IssuedInvite {
    /// The invite's id.
    pub id: InviteId,
    /// The token for joining. Shown only in this response.
    pub token: String,
    /// A link to a page of the service, with the token in it.
    pub url: String,
    /// Always `pending`.
    pub status: InviteStatus,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// An invite as moderators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Invite {
    /// The invite's id.
    pub id: InviteId,
    /// The user it is for, if any.
    pub user: Option<Person>,
    /// The email address it is for, if any.
    pub email: Option<String>,
    /// The invite's status.
    pub status: InviteStatus,
    /// How often it was used.
    pub uses: i64,
    /// How often it can be used, if limited.
    pub max_uses: Option<i64>,
    /// Who created it.
    pub invited_by: Option<Person>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// An invite as the invited user sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Invitation {
    /// The invite's id.
    pub id: InviteId,
    /// The group; joining it accepts the invite.
    pub group: GroupId,
    /// The group's name.
    pub group_name: String,
    /// Who sent the invite.
    pub invited_by: Option<Person>,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// A ban to create.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewBan {
    /// The user to ban.
    #[garde(skip)]
    pub user_id: UserId,
    /// The reason.
    #[serde(default)]
    #[garde(custom(text::line(0, 500)))]
    pub reason: String,
    /// How many days the ban lasts; permanent if absent.
    #[garde(inner(range(min = 1, max = 3_650)))]
    pub days: Option<i64>,
}

/// A ban from a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Ban {
    /// The banned user.
    pub user: Option<Person>,
    /// The reason.
    pub reason: String,
    /// When it ends; `null` if permanent.
    pub until: Option<Timestamp>,
    /// Who banned them.
    pub banned_by: Option<Person>,
    /// When they were banned.
    pub created_at: Timestamp,
}

/// An entry of the moderation log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LogEntry {
    /// The entry's id.
    pub id: i64,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Option<Person>,
    /// What was done, in the past tense: `banned`.
    pub action: String,
    /// The user it was done to, or the author of the target.
    pub subject: Option<Person>,
    /// The target, such as `post 5`.
    pub target: String,
    /// The reason, or an excerpt.
    pub detail: String,
}

/// A user whom the caller follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Follow {
    /// The user.
    pub user: Option<Person>,
    /// When the caller followed them.
    pub created_at: Timestamp,
}
