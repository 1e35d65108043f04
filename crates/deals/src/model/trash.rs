use std::collections::BTreeMap;

use guildhall_kernel::{Person, Timestamp};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DeletionId, Holding, OrganizationId};

/// What was put into the trash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum DeletedKind {
    /// A client, with its contacts and deals.
    Client,
    /// A person at a client.
    Contact,
    /// A deal.
    Deal,
}

/// What was put into the trash in one act, and comes back in one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TrashDeletion)]
pub struct Deletion {
    /// Its number.
    pub id: DeletionId,
    /// What it was.
    pub kind: DeletedKind,
    /// What it was called.
    pub label: String,
    /// Who put it there.
    pub deleted_by: Option<Person>,
    /// When.
    pub deleted_at: Timestamp,
}

/// What would go with something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeletionPreview {
    /// What would be removed.
    pub root: Node,
    /// How many rows of each kind go.
    pub will_delete: BTreeMap<&'static str, u64>,
    /// How many rows of each kind stay although they are about it.
    pub will_keep: BTreeMap<&'static str, u64>,
    /// What keeps it from going.
    pub blockers: Vec<Holding>,
    /// How one leads to the other.
    pub graph: Vec<Link>,
    /// To be sent along (`?token=`), so that nothing else goes than was shown.
    pub token: String,
}

/// Something that would go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Node {
    /// What it is.
    pub model: &'static str,
    /// Its id.
    pub id: i64,
    /// What it is called.
    pub label: String,
}

/// That one kind of thing goes with another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Link {
    /// What goes first.
    pub from: &'static str,
    /// What goes with it.
    pub to: &'static str,
    /// By which column.
    pub via: &'static str,
    /// How many.
    pub count: u64,
}

/// That something was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Change {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// What was done: `deals.change_deal`.
    pub action: String,
    /// To what: `deal/17`.
    pub object: String,
    /// By whom.
    pub actor: Option<Person>,
    /// Each field with what it was and what it became.
    pub changes: BTreeMap<String, (serde_json::Value, serde_json::Value)>,
}

/// What `cleanup-test-data` takes away of one organization, or would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cleaned {
    /// Which one.
    pub id: OrganizationId,
    /// What it is called.
    pub name: String,
    /// How many rows go of each table, in the order in which they go.
    pub rows: Vec<(String, u64)>,
    /// Accounts that go too.
    pub users: Vec<guildhall_kernel::UserId>,
}
