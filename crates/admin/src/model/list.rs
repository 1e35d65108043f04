use guildhall_kernel::admin::Column;

use super::{Count, Key, Row, Table};

/// The periods that times can be filtered by: their names, and their lengths in days.
pub const PERIODS: [(&str, u64); 4] = [("1d", 1), ("7d", 7), ("30d", 30), ("365d", 365)];

/// The tables of a crate.
#[derive(Clone, Debug)]
pub struct Area {
    /// The name of the crate.
    pub name: &'static str,
    /// Its tables.
    pub tables: Vec<TableCount>,
}

/// A table and its number of rows.
#[derive(Clone, Debug)]
pub struct TableCount {
    /// The table.
    pub table: Table,
    /// The number of rows, up to a minute old.
    pub count: Count,
}

/// Which rows to list.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// A part of a searched column, or an id.
    pub search: String,
    /// Columns and the values that they should have: `yes` and `no` for booleans, a period for times, `-` for null.
    pub filters: Vec<(String, String)>,
    /// The columns to show after the first one; those of the description if there are none.
    pub columns: Vec<String>,
    /// A sortable column, descending with a `-` before it.
    pub order: Option<String>,
    /// Only what comes after this position.
    pub after: Option<Key>,
    /// Only what comes before this position.
    pub before: Option<Key>,
}

/// A column that a list can be filtered by.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The column.
    pub column: Column,
    /// The chosen value.
    pub value: Option<String>,
    /// How the chosen value is shown: for a reference, the name of the row.
    pub label: Option<String>,
    /// The values to choose from, if there are few.
    pub choices: Vec<String>,
    /// The referenced table.
    pub target: Option<String>,
}

/// A part of a list.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The table.
    pub table: Table,
    /// The columns of the cells. The first one is always shown.
    pub columns: Vec<Column>,
    /// All columns, to choose from.
    pub all_columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Row>,
    /// The number of rows that match.
    pub count: Count,
    /// The filters that there are.
    pub filters: Vec<Filter>,
    /// Whether rows can be searched by a text.
    pub is_searchable: bool,
    /// The columns that the list can be ordered by.
    pub sortable: Vec<String>,
    /// The column that it is ordered by, and whether in descending order.
    pub order: (String, bool),
    /// The position of the first row, if there are rows before it.
    pub previous: Option<Key>,
    /// The position of the last row, if there are rows after it.
    pub next: Option<Key>,
}

/// What a search over all tables found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Tables whose name or label contains the term.
    pub tables: Vec<Table>,
    /// Tables with rows that match.
    pub rows: Vec<(Table, Vec<Row>)>,
}
