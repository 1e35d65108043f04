use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
