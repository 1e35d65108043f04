use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::entity::member::MemberState;

/// The maximum number of people in a group.
pub(crate) const MAX_MEMBERS: usize = 100;

/// A group to create.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[schema(as = NewGroupConversation)]
pub struct NewGroup {
    /// The name.
    #[garde(custom(text::line(1, 100)))]
    pub name: String,
    /// The first members, beside the caller.
    #[serde(default)]
    #[garde(length(max = MAX_MEMBERS - 1))]
    pub user_ids: Vec<UserId>,
}

/// A change of a group.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[schema(as = GroupConversationPatch)]
pub struct GroupPatch {
    /// The name.
    #[garde(custom(text::line(1, 100)))]
    pub name: String,
}

/// People to add to a group.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewMembers {
    /// Their ids.
    #[garde(length(min = 1, max = MAX_MEMBERS - 1))]
    pub user_ids: Vec<UserId>,
}

/// A person in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ConversationMember)]
pub struct Member {
    /// The person.
    pub user: Option<Person>,
    /// How they take part.
    pub state: MemberState,
    /// Whether they own the group.
    pub is_owner: bool,
    /// When they joined.
    pub joined_at: Timestamp,
}
