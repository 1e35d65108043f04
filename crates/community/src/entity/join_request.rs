use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{GroupId, RequestId};

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

impl ActiveModelBehavior for ActiveModel {}
