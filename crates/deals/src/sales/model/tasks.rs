use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ClientId, DealId, TaskId};

/// A task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Task {
    /// The task's id.
    pub id: TaskId,
    /// Its title.
    pub title: String,
    /// Notes.
    pub notes: String,
    /// The client that it is about, if any.
    pub client_id: Option<ClientId>,
    /// The deal that it is about, if any.
    pub deal_id: Option<DealId>,
    /// The member it is assigned to.
    pub assignee: Option<Person>,
    /// Who created it.
    pub created_by: Option<Person>,
    /// When it is due.
    pub due_at: Option<Timestamp>,
    /// When the assignee gets a reminder by email.
    pub remind_at: Option<Timestamp>,
    /// Whether it is overdue.
    pub is_late: bool,
    /// When it was completed.
    pub done_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A task to create.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewTask {
    /// Its title.
    #[garde(custom(text::line(1, 200)))]
    pub title: String,
    /// Notes.
    #[serde(default)]
    #[garde(custom(text::block(0, 10_000)))]
    pub notes: String,
    /// The client that it is about; that of the deal if `deal_id` is given.
    #[garde(skip)]
    pub client_id: Option<ClientId>,
    /// The deal that it is about.
    #[garde(skip)]
    pub deal_id: Option<DealId>,
    /// The user ID of the assignee, who must be an active member; the caller by default.
    #[garde(skip)]
    pub assignee_id: Option<UserId>,
    /// When it is due.
    #[garde(skip)]
    pub due_at: Option<Timestamp>,
    /// When the assignee gets a reminder by email.
    #[garde(skip)]
    pub remind_at: Option<Timestamp>,
}

/// A change to a task; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct TaskPatch {
    /// Its title.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// Notes.
    #[garde(custom(text::maybe(text::block(0, 10_000))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub notes: Option<String>,
    /// The user ID of the assignee, who must be an active member.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub assignee_id: Option<UserId>,
    /// When it is due; `null` clears it.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(skip)]
    pub due_at: Option<Option<Timestamp>>,
    /// When the assignee gets a reminder by email; `null` clears it.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(skip)]
    pub remind_at: Option<Option<Timestamp>>,
    /// Whether it is completed.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_done: Option<bool>,
}
