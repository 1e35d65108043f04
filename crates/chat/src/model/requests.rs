use guildhall_kernel::{Person, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    entity::join_request::RequestStatus,
    id::{RequestId, RoomId},
};

/// A request to join a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ChatJoinRequest)]
pub struct JoinRequest {
    /// The request's id.
    pub id: RequestId,
    /// The room.
    pub room_id: RoomId,
    /// Who asks to join.
    pub user: Option<Person>,
    /// What has become of it.
    pub status: RequestStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was decided, withdrawn, or expired.
    pub decided_at: Option<Timestamp>,
}

/// The caller's own request to join a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRequest {
    /// The request.
    pub request: JoinRequest,
    /// From when the caller may ask again, if the request was refused.
    pub may_ask_again_at: Option<Timestamp>,
}

/// The outcome of asking to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The request.
    pub request: JoinRequest,
    /// Whether it is new.
    pub is_new: bool,
}

/// Which request to decide: by its id, or by who has made it.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[schema(as = ChatRequestRef)]
pub struct RequestRef {
    /// Who asks to join.
    pub user_id: Option<UserId>,
    /// The request's id.
    pub request_id: Option<RequestId>,
}
