use guildhall_kernel::{Person, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::entity::participant::{ParticipantState, Role};

/// A person in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ChatParticipant)]
pub struct Participant {
    /// The person.
    pub user: Option<Person>,
    /// What they may do.
    pub role: Role,
    /// Whether they take part.
    pub state: ParticipantState,
    /// When they joined, most recently.
    pub joined_at: Timestamp,
    /// Until when they cannot send messages.
    pub muted_until: Option<Timestamp>,
    /// Whether they follow the room over a socket of the process that answers.
    pub is_online: bool,
}

/// A user.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = ChatUserRef)]
pub struct UserRef {
    /// The user's id.
    pub user_id: UserId,
}

/// Until when a participant cannot send messages.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = ChatMute)]
pub struct Mute {
    /// The user's id.
    pub user_id: UserId,
    /// The end; `null` lets them send messages again.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true)]
    pub muted_until: Option<Timestamp>,
}

/// How the caller leaves.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[schema(as = ChatLeave)]
pub struct Leave {
    /// The participant to whom the host hands the room over. Without one, the room closes when its host leaves.
    pub new_host_id: Option<UserId>,
}
