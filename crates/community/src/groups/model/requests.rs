use guildhall_kernel::{Person, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    entity::join_request::RequestStatus,
    id::{GroupId, RequestId},
};

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
