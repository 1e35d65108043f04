use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ActivityId, ClientId, DealId};

/// The kind of an activity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ActivityKind {
    /// A note.
    #[default]
    Note,
    /// A phone call.
    Call,
    /// A meeting.
    Meeting,
    /// An email.
    Email,
}

/// An activity with a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Activity {
    /// The activity's id.
    pub id: ActivityId,
    /// The client.
    pub client_id: ClientId,
    /// The deal that it is about, if any.
    pub deal_id: Option<DealId>,
    /// Its kind.
    pub kind: ActivityKind,
    /// A description.
    pub content: String,
    /// When it happened.
    pub happened_at: Timestamp,
    /// Who logged it.
    pub created_by: Option<Person>,
    /// When it was logged.
    pub created_at: Timestamp,
}

/// An activity to log.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewActivity {
    /// Its kind; a note by default.
    #[serde(default)]
    #[garde(skip)]
    pub kind: ActivityKind,
    /// A description.
    #[garde(custom(text::block(1, 10_000)))]
    pub content: String,
    /// When it happened; now by default.
    #[garde(skip)]
    pub happened_at: Option<Timestamp>,
}
