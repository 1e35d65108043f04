use std::collections::BTreeMap;

use guildhall_kernel::{Person, Timestamp};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{DeletionId, MemberBlocker};

/// The kind of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum DeletedKind {
    /// A client with its contacts and deals.
    Client,
    /// A contact.
    Contact,
    /// A deal.
    Deal,
}

/// A deletion: everything that one operation moved to the trash. It is restored as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TrashDeletion)]
pub struct Deletion {
    /// The deletion's id.
    pub id: DeletionId,
    /// The kind of object that was deleted.
    pub kind: DeletedKind,
    /// The name of the object.
    pub label: String,
    /// Who deleted it.
    pub deleted_by: Option<Person>,
    /// When it was deleted.
    pub deleted_at: Timestamp,
}

/// A preview of what deleting an object removes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeletionPreview {
    /// The object to delete.
    pub root: Node,
    /// Number of rows removed, by kind.
    pub will_delete: BTreeMap<&'static str, u64>,
    /// Number of related rows that stay, by kind.
    pub will_keep: BTreeMap<&'static str, u64>,
    /// What prevents the deletion.
    pub blockers: Vec<MemberBlocker>,
    /// How the removed rows depend on one another.
    pub graph: Vec<Link>,
    /// Identifies this preview. Send it as `?token=` to delete only if nothing has changed since.
    pub token: String,
}

/// An object in a deletion preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Node {
    /// Its kind.
    pub model: &'static str,
    /// Its id.
    pub id: i64,
    /// Its name.
    pub label: String,
}

/// A dependency: rows of one kind are removed with those of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Link {
    /// The kind that is removed.
    pub from: &'static str,
    /// The kind that is removed with it.
    pub to: &'static str,
    /// The column that refers to the first kind.
    pub via: &'static str,
    /// Number of rows.
    pub count: u64,
}
