use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, present, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{GroupId, InviteId, RequestId};
use crate::entity::membership::Role;

/// What became of wanting to be in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Joined {
    /// The caller is in it.
    Member {
        /// They were not before.
        #[serde(skip)]
        new: bool,
    },
    /// The caller has asked; a moderator decides.
    Requested {
        /// The request's id.
        request_id: RequestId,
    },
}

/// Somebody who is in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = GroupMember)]
pub struct Member {
    /// Who.
    pub user: Option<Person>,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
}

/// Which members to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MemberFilter {
    /// Only names that begin like this, in any case.
    pub search: Option<String>,
    /// Only `owner`, `moderator` or `member`.
    pub role: Option<Role>,
}

/// That somebody is in a group, as a row of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Membership {
    /// The row's id.
    pub id: i64,
    /// The group.
    pub group: GroupId,
    /// Who.
    pub user: Option<Person>,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
}

/// Which memberships to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MembershipFilter {
    /// Only of this group.
    pub group: Option<GroupId>,
    /// Only of this person.
    pub user: Option<UserId>,
}

/// What has become of a request to be let into a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    /// Nobody has decided yet.
    Pending,
    /// A moderator has let them in.
    Approved,
    /// A moderator has refused. They may ask again.
    Denied,
    /// They no longer want to.
    Withdrawn,
}

/// A request to be let into a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct JoinRequest {
    /// The request's id.
    pub id: RequestId,
    /// The group.
    pub group: GroupId,
    /// Who asks.
    pub user: Option<Person>,
    /// What they say.
    pub note: String,
    /// What has become of it.
    pub status: RequestStatus,
    /// When they asked.
    pub created_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
}

/// Whether an invite can still be used, as it is stored: what has expired is told by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum InviteState {
    /// It can be used until it expires.
    Pending,
    /// It has been used as often as it can be.
    Accepted,
    /// A moderator has taken it back.
    Revoked,
}

/// Whether an invite can still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InviteStatus {
    /// It can be used.
    Pending,
    /// It has been used as often as it can be.
    Accepted,
    /// A moderator has taken it back.
    Revoked,
    /// It is too old.
    Expired,
}

/// Whom to invite: a person, an address, or with neither whoever has the link.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewInvite {
    /// A person.
    #[serde(alias = "invitee_id", default, deserialize_with = "present")]
    #[schema(value_type = UserId)]
    #[garde(skip)]
    pub user_id: Option<Option<UserId>>,
    /// An address; a letter goes there.
    #[serde(alias = "invitee_email", default, deserialize_with = "present")]
    #[schema(value_type = String)]
    #[garde(inner(inner(custom(address))))]
    pub email: Option<Option<String>>,
    /// For how long, in days: 7 unless said otherwise.
    #[garde(inner(range(min = 1, max = 365)))]
    pub expires_days: Option<i64>,
    /// How often it can be used: once for a person or an address, and a link as often as it is asked for.
    #[garde(inner(range(min = 1, max = 1_000_000)))]
    pub max_uses: Option<i64>,
}

/// Only its shape: whether mail arrives there shows itself.
fn address(email: &String, (): &()) -> garde::Result {
    text::line(3, 254)(email, &())?;
    let sound = email.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !host.starts_with('.') && !host.ends_with('.') && !host.contains('@')
    });
    if sound && !email.contains(char::is_whitespace) {
        Ok(())
    } else {
        Err(garde::Error::new("Enter a valid email address."))
    }
}

/// An invite that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IssuedInvite {
    /// The invite's id.
    pub id: InviteId,
    /// What opens the group. Shown this once.
    pub token: String,
    /// A link with the token in it, to a page of the service.
    pub url: String,
    /// `pending`.
    pub status: InviteStatus,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

/// An invite as moderators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Invite {
    /// The invite's id.
    pub id: InviteId,
    /// The person that it is for.
    pub user: Option<Person>,
    /// The address that it is for.
    pub email: Option<String>,
    /// Can it still be used?
    pub status: InviteStatus,
    /// How often it has been used.
    pub uses: i64,
    /// How often it can be used, if that is limited.
    pub max_uses: Option<i64>,
    /// Who has made it.
    pub invited_by: Option<Person>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

/// An invite as the person sees it that it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Invitation {
    /// The invite's id.
    pub id: InviteId,
    /// The group; joining it accepts.
    pub group: GroupId,
    /// What the group is called.
    pub group_name: String,
    /// Who has invited.
    pub invited_by: Option<Person>,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Somebody to be kept out.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewBan {
    /// Who.
    #[garde(skip)]
    pub user_id: UserId,
    /// Why.
    #[serde(default)]
    #[garde(custom(text::line(0, 500)))]
    pub reason: String,
    /// For how long, in days; without it for good.
    #[garde(inner(range(min = 1, max = 3_650)))]
    pub days: Option<i64>,
}

/// Somebody who may not be in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Ban {
    /// Who.
    pub user: Option<Person>,
    /// Why.
    pub reason: String,
    /// Until when; `null` for good.
    pub until: Option<Timestamp>,
    /// Who has decided so.
    pub banned_by: Option<Person>,
    /// Since when.
    pub created_at: Timestamp,
}

/// What was done to keep order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LogEntry {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Option<Person>,
    /// What was done, in the past tense: `banned`.
    pub action: String,
    /// Whom it was done to, or whose thing.
    pub subject: Option<Person>,
    /// What it was done to: `post 5`.
    pub target: String,
    /// Why, or what it was.
    pub detail: String,
}

/// Somebody whose posts the caller wants to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Follow {
    /// Who.
    pub user: Option<Person>,
    /// Since when.
    pub created_at: Timestamp,
}
