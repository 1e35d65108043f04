//! Parsed tables, and the limits of their size.

use crate::Error;

/// The maximum number of rows.
pub(crate) const MAX_ROWS: usize = 100_000;
/// The maximum number of columns.
pub(crate) const MAX_COLUMNS: usize = 100;
/// The maximum number of cells, without trailing empty ones.
pub(crate) const MAX_CELLS: usize = 2_000_000;

/// A parsed table.
pub(crate) struct Sheet {
    pub(crate) headings: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// A row of a table.
pub(crate) struct Row {
    /// The line of the file on which the row begins, from 1.
    pub(crate) line: u64,
    /// At most as many as there are headings.
    pub(crate) cells: Vec<Cell>,
    /// The first non-empty cell after the last column.
    pub(crate) extra: Option<String>,
}

/// The content of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Text as it was typed.
    Text(String),
    /// A number of a workbook, with a decimal point; options for parsing text do not apply to it.
    Number(String),
    /// A formula without a value: `#DIV/0!`.
    Error(String),
}

impl Cell {
    pub(crate) fn as_str(&self) -> &str {
        let (Self::Text(text) | Self::Number(text) | Self::Error(text)) = self;
        text
    }
}

impl Row {
    /// A row with these cells, of a table with this many columns.
    pub(crate) fn new(line: u64, mut cells: Vec<Cell>, columns: usize) -> Self {
        let is_blank = |cell: &Cell| cell.as_str().trim().is_empty();
        let extra = cells.iter().skip(columns).find(|cell| !is_blank(cell)).map(|cell| cell.as_str().to_owned());
        cells.truncate(columns);
        while cells.last().is_some_and(is_blank) {
            cells.pop();
        }
        cells.shrink_to_fit();
        Self { line, cells, extra }
    }
}

pub(crate) fn invalid_file(message: impl Into<String>) -> Error {
    Error::field("file", message)
}

pub(crate) fn too_many_cells() -> Error {
    invalid_file(format!("The table has more than {MAX_CELLS} cells."))
}
