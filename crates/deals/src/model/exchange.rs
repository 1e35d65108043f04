use std::{collections::BTreeMap, pin::Pin};

use bytes::Bytes;
use futures_util::Stream;
use guildhall_kernel::{Person, Timestamp};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ImportId, Node};

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text with commas, in UTF-8.
    Csv,
    /// A workbook of Excel.
    Xlsx,
}

/// A table as text (RFC 4180) or as a workbook, piece by piece.
pub type Table = Pin<Box<dyn Stream<Item = guildhall_kernel::Result<Bytes>> + Send>>;

/// What is read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ImportKind {
    /// Clients.
    Clients,
    /// Deals, with the clients that are not there yet.
    Deals,
}

/// How an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    /// It was only looked at.
    Checked,
    /// There were faults, so nothing was taken.
    Refused,
    /// It is being read in.
    Running,
    /// It was read in.
    Done,
    /// It broke off, and what was read in was taken back.
    Failed,
    /// It was taken back.
    Reverted,
}

/// What becomes of a row that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDuplicate {
    /// It is a fault.
    #[default]
    Error,
    /// It is passed over.
    Skip,
    /// It changes what is there.
    Update,
}

/// What becomes of a table in which some rows have faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportMode {
    /// Nothing of it is taken.
    #[default]
    Atomic,
    /// The rows without faults are taken.
    Partial,
}

/// A table to be read in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewImport {
    /// What it holds.
    pub kind: ImportKind,
    /// What the file is called.
    pub file_name: String,
    /// The file.
    pub bytes: Bytes,
    /// Between two cells; found out where this is not given.
    pub delimiter: Option<u8>,
    /// Its encoding is that of Windows in Western Europe; found out where this is not given.
    pub is_windows_1252: Option<bool>,
    /// Amounts are written with a comma for the point.
    pub decimal_comma: bool,
    /// Which field a column holds, by its heading; those that are not named are taken by their own. One that is to
    /// be passed over holds a field without a name.
    pub mapping: BTreeMap<String, String>,
    /// What becomes of a client that is there already.
    pub on_duplicate: OnDuplicate,
    /// What becomes of a table in which some rows have faults.
    pub mode: ImportMode,
    /// Only look at it.
    pub dry_run: bool,
}

/// What is wrong with a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// The line of the file on which its row begins, from 1.
    pub line: u64,
    /// The heading of its column, if it has to do with one.
    pub column: String,
    /// The field that it is for.
    pub field: String,
    /// What it holds, cut short.
    pub value: String,
    /// What is wrong, for programs.
    pub code: String,
    /// What is wrong, for people.
    pub message: String,
}

/// What became of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Import {
    /// Its id.
    pub id: ImportId,
    /// What it holds.
    pub kind: ImportKind,
    /// What the file is called.
    pub file_name: String,
    /// How it stands.
    pub status: ImportStatus,
    /// How many rows it has.
    pub total: i64,
    /// How many were added; clients that came with deals are not counted.
    pub created: i64,
    /// How many changed what was there.
    pub updated: i64,
    /// How many were passed over.
    pub skipped: i64,
    /// How many have faults.
    pub failed: i64,
    /// How many of those that were added stayed when it was taken back, since somebody had changed them.
    pub kept: i64,
    /// The first hundred of these, as far as the caller may see them; told only of an import that is asked for by
    /// itself.
    pub kept_rows: Vec<Node>,
    /// The first hundred faults; `errors.csv` has up to a thousand.
    pub errors: Vec<Fault>,
    /// Who read it in.
    pub created_by: Option<Person>,
    /// When.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The form with a table.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes")]
pub(crate) struct ImportForm {
    /// The file: a table with headings, of cells between commas, semicolons or tabs.
    #[schema(format = Binary)]
    file: String,
    /// What it holds.
    kind: ImportKind,
    /// `auto`, `,`, `;` or `tab`.
    delimiter: Option<String>,
    /// `auto`, `utf-8` or `windows-1252`.
    encoding: Option<String>,
    /// `.` or `,`: what stands before the cents.
    decimal: Option<String>,
    /// A JSON object: headings and the fields that they hold, an empty one where a column is to be passed over.
    mapping: Option<String>,
    /// `error`, `skip` or `update`.
    on_duplicate: Option<OnDuplicate>,
    /// `atomic` or `partial`.
    mode: Option<ImportMode>,
    /// `true` only looks at it.
    dry_run: Option<bool>,
}
