use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{ClientId, DealId, MemberId, OrganizationId, TaskId};

/// A task.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_task")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: TaskId,
    pub org_id: OrganizationId,
    pub title: String,
    pub notes: String,
    pub client_id: Option<ClientId>,
    pub deal_id: Option<DealId>,
    pub assignee_id: MemberId,
    pub created_by: MemberId,
    pub due_at: Option<Timestamp>,
    /// The due time for sorting; tasks without one sort last.
    pub due_key: i64,
    pub done_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub remind_at: Option<Timestamp>,
    /// The reminder was sent.
    pub is_reminded: bool,
    /// The due time that was last announced.
    pub announced_due_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
