use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, present, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{GroupId, InviteId};

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
