//! The inputs and views of imports and exports.

use std::{collections::BTreeMap, pin::Pin};

use bytes::Bytes;
use futures_util::Stream;
use guildhall_kernel::{Person, Timestamp};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ImportId, Node};

/// The format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values (RFC 4180) in UTF-8.
    Csv,
    /// An Excel workbook.
    Xlsx,
}

/// The bytes of a table, streamed in chunks.
pub type Table = Pin<Box<dyn Stream<Item = guildhall_kernel::Result<Bytes>> + Send>>;

/// The kind of rows in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ImportKind {
    /// Clients.
    Clients,
    /// Deals. Clients that do not exist yet are created.
    Deals,
}

/// The status of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    /// A dry run: the table was checked and nothing was stored.
    Checked,
    /// Rejected because of errors in the table; nothing was stored.
    Refused,
    /// In progress.
    Running,
    /// Finished.
    Done,
    /// Aborted; the rows that it had created were deleted.
    Failed,
    /// Reverted.
    Reverted,
}

/// How to handle a row that matches an existing client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDuplicate {
    /// Report an error.
    #[default]
    Error,
    /// Skip the row.
    Skip,
    /// Update the existing client.
    Update,
}

/// How to handle a table in which some rows have errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportMode {
    /// Import nothing.
    #[default]
    Atomic,
    /// Import the rows without errors.
    Partial,
}

/// A table to be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewImport {
    /// The kind of rows.
    pub kind: ImportKind,
    /// The name of the file.
    pub file_name: String,
    /// The content of the file.
    pub bytes: Bytes,
    /// The delimiter between cells; detected if absent.
    pub delimiter: Option<u8>,
    /// Whether the encoding is Windows-1252, as opposed to UTF-8; detected if absent.
    pub is_windows_1252: Option<bool>,
    /// Whether numbers have a decimal comma.
    pub decimal_comma: bool,
    /// The field of each column, by its heading. A column that is not listed holds the field that its heading names. An
    /// empty field ignores the column.
    pub mapping: BTreeMap<String, String>,
    /// How to handle a row that matches an existing client.
    pub on_duplicate: OnDuplicate,
    /// How to handle a table in which some rows have errors.
    pub mode: ImportMode,
    /// Whether to check the table without storing anything.
    pub dry_run: bool,
}

/// An error in a row of an imported table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportError {
    /// The line of the file on which the row begins, from 1.
    pub line: u64,
    /// The heading of the column; empty if the error is not about a column.
    pub column: String,
    /// The field that the column holds.
    pub field: String,
    /// The content of the cell, truncated.
    pub value: String,
    /// The code of the error, for programs.
    pub code: String,
    /// The message, for people.
    pub message: String,
}

/// An import and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Import {
    /// Its id.
    pub id: ImportId,
    /// The kind of rows.
    pub kind: ImportKind,
    /// The name of the file.
    pub file_name: String,
    /// The status.
    pub status: ImportStatus,
    /// How many rows the table has.
    pub total: i64,
    /// How many rows were created. Clients that were created for deals are not counted.
    pub created: i64,
    /// How many rows updated an existing client.
    pub updated: i64,
    /// How many rows were skipped.
    pub skipped: i64,
    /// How many rows have errors.
    pub failed: i64,
    /// How many of the created rows a revert kept, because they were changed or used since.
    pub kept: i64,
    /// The first hundred of the kept rows that the caller may see; always empty in lists.
    pub kept_rows: Vec<Node>,
    /// The first hundred errors; `errors.csv` has up to a thousand.
    pub errors: Vec<ImportError>,
    /// Who started it; `null` if the account was deleted.
    pub created_by: Option<Person>,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The form of an import.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form in the OpenAPI document")]
pub(crate) struct ImportForm {
    /// The table, with a header row: a workbook, or text with commas, semicolons or tabs.
    #[schema(format = Binary)]
    file: String,
    /// The kind of rows.
    kind: ImportKind,
    /// The delimiter: `auto`, `,`, `;` or `tab`.
    delimiter: Option<String>,
    /// The encoding: `auto`, `utf-8` or `windows-1252`.
    encoding: Option<String>,
    /// The decimal separator: `.` or `,`.
    decimal: Option<String>,
    /// A JSON object that maps headings to fields. An empty field ignores the column.
    mapping: Option<String>,
    /// How to handle a row that matches an existing client: `error`, `skip` or `update`.
    on_duplicate: Option<OnDuplicate>,
    /// How to handle a table in which some rows have errors: `atomic` or `partial`.
    mode: Option<ImportMode>,
    /// `true` checks the table without storing anything.
    dry_run: Option<bool>,
}
