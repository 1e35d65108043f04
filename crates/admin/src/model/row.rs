use std::collections::BTreeMap;

use guildhall_kernel::{self as kernel, ETag, IfMatch, Kind, Timestamp, admin::Column};

use super::{Count, Key, Table};

/// A row of a list.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its key.
    pub key: Key,
    /// What it is called: its first text, else its key.
    pub title: String,
    /// Its cells.
    pub cells: Vec<Cell>,
}

/// The value of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// The value as text; `None` for null. A boolean is `true` or `false`, of bytes only the number is known.
    pub text: Option<String>,
    /// The row that it references.
    pub reference: Option<Reference>,
}

/// A row as it is stored, for the service that changes it.
#[derive(Clone, Debug)]
pub struct StoredRow {
    /// Its key.
    pub key: Key,
    /// Its columns as text, without those that are null.
    pub values: BTreeMap<String, String>,
}

impl StoredRow {
    /// The integer in a column: an id.
    pub fn id(&self, column: &str) -> kernel::Result<i64> {
        let value = self.values.get(column).and_then(|text| text.parse().ok());
        value.ok_or_else(|| kernel::Error::new(Kind::NotFound, "not_found", "Not found."))
    }

    /// Matches only the version of the row, if it has the time of its last change: the service refuses a change that
    /// would revert another one.
    pub fn version(&self) -> IfMatch {
        let changed_at = self.values.get("updated_at").and_then(|text| text.parse().ok());
        let changed_at = changed_at.map(Timestamp::from_unix_micros);
        changed_at.map_or_else(IfMatch::default, |time| IfMatch::only(ETag::from(time)))
    }
}

/// Another row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its table.
    pub table: String,
    /// Its key.
    pub key: Key,
    /// What it is called.
    pub label: String,
}

/// A row with all its columns.
#[derive(Clone, Debug)]
pub struct RowDetail {
    /// Its table.
    pub table: Table,
    /// Its key.
    pub key: Key,
    /// What it is called.
    pub title: String,
    /// Changes when one of the columns does that can be changed.
    pub version: String,
    /// Its columns.
    pub fields: Vec<Field>,
    /// How many rows of other tables reference it; without those that none does, unless one can be created.
    pub relations: Vec<Relation>,
}

/// A column of a row.
#[derive(Clone, Debug)]
pub struct Field {
    /// The column.
    pub column: Column,
    /// Its value.
    pub cell: Cell,
    /// Whether it can be changed.
    pub is_editable: bool,
    /// Whether it needs a value.
    pub is_required: bool,
    /// The table that it refers to.
    pub target: Option<String>,
}

/// The form for a new row.
#[derive(Clone, Debug)]
pub struct NewRow {
    /// Its table.
    pub table: Table,
    /// What it is created from, with the default values.
    pub fields: Vec<Field>,
}

/// The rows of a table that reference a row.
#[derive(Clone, Debug)]
pub struct Relation {
    /// The referencing table.
    pub table: Table,
    /// Its column.
    pub column: String,
    /// The number of rows.
    pub count: Count,
}

/// An entry of the history of a row.
#[derive(Clone, Debug)]
pub struct History {
    /// The id in the audit log.
    pub id: i64,
    /// The time.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// The action.
    pub action: String,
    /// What has changed: the column, the value before and the value after.
    pub changes: Vec<(String, String, String)>,
}
