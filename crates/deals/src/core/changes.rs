//! Entries of the audit log, as the API shows them.

use std::collections::BTreeMap;

use guildhall_kernel::{Person, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// A change in the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Change {
    /// The id.
    pub id: i64,
    /// When it happened.
    pub at: Timestamp,
    /// The action: `deals.change_deal`.
    pub action: String,
    /// The changed object: `deal/17`.
    pub object: String,
    /// Who made the change; `null` for the system and for deleted accounts.
    pub actor: Option<Person>,
    /// The changed fields, each with its value before and after.
    pub changes: BTreeMap<String, (serde_json::Value, serde_json::Value)>,
}
