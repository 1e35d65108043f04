use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::{GroupId, RequestId, RequestStatus};

/// A request to join a group.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_join_request")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: RequestId,
    pub group_id: GroupId,
    pub user_id: UserId,
    pub status: RequestStatus,
    pub note: String,
    pub created_at: Timestamp,
    pub decided_by: Option<UserId>,
    pub decided_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
