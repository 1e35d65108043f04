use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ActivityId, ClientId, DealId, TaskId};

/// What happened with a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ActivityKind {
    /// Something worth writing down.
    #[default]
    Note,
    /// They spoke by telephone.
    Call,
    /// They met.
    Meeting,
    /// They wrote.
    Email,
}

/// Something that happened with a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Activity {
    /// Its id.
    pub id: ActivityId,
    /// The client.
    pub client_id: ClientId,
    /// The deal that it was about.
    pub deal_id: Option<DealId>,
    /// What it was.
    pub kind: ActivityKind,
    /// In words.
    pub content: String,
    /// When it happened.
    pub happened_at: Timestamp,
    /// Who wrote it down.
    pub created_by: Option<Person>,
    /// When they did.
    pub created_at: Timestamp,
}

/// Something that happened, to be written down.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewActivity {
    /// What it was; a note, where this is not given.
    #[serde(default)]
    #[garde(skip)]
    pub kind: ActivityKind,
    /// In words.
    #[garde(custom(text::block(1, 10_000)))]
    pub content: String,
    /// When it happened; now, where this is not given.
    #[garde(skip)]
    pub happened_at: Option<Timestamp>,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What is to be done.
    pub title: String,
    /// More about it.
    pub notes: String,
    /// For which client.
    pub client_id: Option<ClientId>,
    /// For which deal.
    pub deal_id: Option<DealId>,
    /// Who does it.
    pub assignee: Option<Person>,
    /// Who wants it done.
    pub created_by: Option<Person>,
    /// By when.
    pub due_at: Option<Timestamp>,
    /// When a letter reminds whoever does it.
    pub remind_at: Option<Timestamp>,
    /// It is late.
    pub is_late: bool,
    /// When it was done.
    pub done_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Something to be done, to be added.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewTask {
    /// What is to be done.
    #[garde(custom(text::line(1, 200)))]
    pub title: String,
    /// More about it.
    #[serde(default)]
    #[garde(custom(text::block(0, 10_000)))]
    pub notes: String,
    /// For which client; a deal's own, where a deal is given.
    #[garde(skip)]
    pub client_id: Option<ClientId>,
    /// For which deal.
    #[garde(skip)]
    pub deal_id: Option<DealId>,
    /// Who does it: an active member's account; the caller, where this is not given.
    #[garde(skip)]
    pub assignee_id: Option<UserId>,
    /// By when.
    #[garde(skip)]
    pub due_at: Option<Timestamp>,
    /// When a letter reminds whoever does it.
    #[garde(skip)]
    pub remind_at: Option<Timestamp>,
}

/// A change to something to be done; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct TaskPatch {
    /// What is to be done.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// More about it.
    #[garde(custom(text::maybe(text::block(0, 10_000))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub notes: Option<String>,
    /// Who does it: an active member's account.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub assignee_id: Option<UserId>,
    /// By when; `null` clears it.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(skip)]
    pub due_at: Option<Option<Timestamp>>,
    /// When a letter reminds whoever does it; `null` clears it.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(skip)]
    pub remind_at: Option<Option<Timestamp>>,
    /// It is done, or not yet after all.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_done: Option<bool>,
}
