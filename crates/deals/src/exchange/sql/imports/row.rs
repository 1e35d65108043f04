//! A row of a table that is being checked.

use std::collections::HashMap;

use guildhall_kernel::Error as KernelError;

use super::owners::{Owner, Owners};
use crate::{
    CustomFieldType, Error, ImportError, Result,
    core::access::{Access, NOT_ACTIVE},
    custom::sql as custom,
    entity::custom_field,
    exchange::table::sheet::{Cell, Row, Sheet},
    permission::Permission,
};

/// How many errors are stored.
pub(super) const MAX_ERRORS: usize = 1000;
/// How many characters of a cell an error shows.
const MAX_VALUE: usize = 100;
/// The fields that may have several lines, and whose surrounding whitespace is preserved.
const MULTILINE: [&str; 2] = ["description", "notes"];

/// The columns of a table, and what its rows can refer to.
pub(super) struct Context {
    /// The column of each field.
    pub(super) columns: HashMap<String, usize>,
    /// The custom fields.
    pub(super) fields: Vec<custom_field::Model>,
    pub(super) owners: Owners,
}

/// A row that is being checked, and its errors.
pub(super) struct RowCheck<'a> {
    row: &'a Row,
    sheet: &'a Sheet,
    context: &'a Context,
    pub(super) errors: Vec<ImportError>,
}

impl<'a> RowCheck<'a> {
    pub(super) fn new(row: &'a Row, sheet: &'a Sheet, context: &'a Context) -> Self {
        Self { row, sheet, context, errors: Vec::new() }
    }

    pub(super) fn cell(&self, field: &str) -> Option<&'a Cell> {
        self.context.columns.get(field).and_then(|column| self.row.cells.get(*column))
    }

    pub(super) fn get(&self, field: &str) -> &'a str {
        let cell = self.cell(field).map(Cell::as_str).unwrap_or_default();
        if MULTILINE.contains(&field) { cell } else { cell.trim() }
    }

    /// Checks the cells regardless of their fields: for formulas without a value, and for cells without a column.
    pub(super) fn check_cells(&mut self) {
        for field in self.context.columns.keys() {
            if let Some(Cell::Error(_)) = self.cell(field) {
                let error = self.error(field, "invalid", "The formula has no value.");
                self.errors.push(error);
            }
        }
        if let Some(text) = &self.row.extra {
            let message = "The row has more cells than there are columns. Quote text that contains the delimiter.";
            self.errors.push(ImportError {
                line: self.row.line,
                column: String::new(),
                field: String::new(),
                value: text.chars().take(MAX_VALUE).collect(),
                code: "extra_cells".to_owned(),
                message: message.to_owned(),
            });
        }
    }

    /// A number with a decimal point. The decimal comma only applies to text, not to the numbers of a workbook.
    pub(super) fn number(&self, field: &str, decimal_comma: bool) -> Result<String> {
        match self.cell(field) {
            Some(Cell::Number(number)) => Ok(number.clone()),
            _ if decimal_comma => with_decimal_point(self.get(field)).ok_or_else(|| {
                let message = "Must be a number like 1.200,50. A point may only separate groups of three digits.";
                Error::field(field, message)
            }),
            _ => Ok(self.get(field).to_owned()),
        }
    }

    /// The value of a cell; `None` if it is empty or, with an error, if it cannot be parsed.
    pub(super) fn parse<T>(
        &mut self,
        field: &str,
        message: &str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Option<T> {
        let cell = self.get(field);
        if cell.is_empty() {
            return None;
        }
        let value = parse(cell);
        if value.is_none() {
            self.errors.push(self.error(field, "invalid", message));
        }
        value
    }

    /// Checks the length of a text, and that it is one line unless the field may have several.
    pub(super) fn check_text(&mut self, field: &str, max: usize, required: bool) {
        let cell = self.get(field);
        let is_multiline = MULTILINE.contains(&field);
        if required && cell.is_empty() {
            self.errors.push(self.error(field, "required", "This field is required."));
        } else if (!is_multiline && cell.contains(char::is_control)) || cell.chars().count() > max {
            let message = if is_multiline {
                format!("Must have at most {max} characters.")
            } else {
                format!("Must be one line of at most {max} characters.")
            };
            self.errors.push(self.error(field, "invalid", message));
        }
    }

    /// The owner, if the row names one.
    pub(super) fn owner(&mut self, access: &Access, permission: Permission) -> Option<Owner> {
        let (owners, line) = (&self.context.owners, self.row.line);
        let owner = self.parse("owner", NOT_ACTIVE, |name| owners.find(name, line));
        if let Some(owner) = owner.as_ref().filter(|owner| owner.id != access.member.id)
            && let Err(error) = access.may_reassign_to(permission, owner.id)
        {
            self.errors.push(self.error("owner", "not_granted", error.to_string()));
        }
        owner
    }

    /// The custom fields.
    pub(super) fn custom(&mut self, decimal_comma: bool) -> custom::ValidatedValues {
        let fields = &self.context.fields;
        let mut values = custom::CustomValues::new();
        for field in fields {
            let name = format!("{}{}", custom::PREFIX, field.key);
            if self.get(&name).is_empty() {
                continue;
            }
            let is_number = field.kind == CustomFieldType::Number;
            match if is_number { self.number(&name, decimal_comma) } else { Ok(self.get(&name).to_owned()) } {
                Ok(cell) => drop(values.insert(field.key.clone(), cell.into())),
                Err(error) => self.add_field_errors(error),
            }
        }
        custom::validate(fields, None, &values).unwrap_or_else(|errors| {
            for (name, messages) in errors {
                let field = name.replacen("custom.", custom::PREFIX, 1);
                self.errors.push(self.error(&field, "invalid", messages.join(" ")));
            }
            custom::ValidatedValues::default()
        })
    }

    /// An error of a field.
    pub(super) fn error(&self, field: &str, code: &str, message: impl Into<String>) -> ImportError {
        let heading = self.context.columns.get(field).and_then(|column| self.sheet.headings.get(*column));
        ImportError {
            line: self.row.line,
            column: heading.cloned().unwrap_or_default(),
            field: field.to_owned(),
            value: self.get(field).chars().take(MAX_VALUE).collect(),
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// Whether a field has an error.
    pub(super) fn has_error(&self, field: &str) -> bool {
        self.errors.iter().any(|error| error.field == field)
    }

    /// Adds the field errors of a rejected input.
    pub(super) fn add_field_errors(&mut self, error: Error) {
        for (field, messages) in KernelError::from(error).fields() {
            self.errors.push(self.error(field, "invalid", messages.join(" ")));
        }
    }
}

/// The rows that can be stored, and the errors of the others.
pub(super) struct Checked<R> {
    pub(super) rows: R,
    /// The first errors.
    pub(super) errors: Vec<ImportError>,
    /// How many rows have errors.
    pub(super) failed: u64,
    /// How many rows are skipped.
    pub(super) skipped: u64,
}

impl<R> Checked<Vec<R>> {
    pub(super) fn new() -> Self {
        Self { rows: Vec::new(), errors: Vec::new(), failed: 0, skipped: 0 }
    }

    /// Counts a row with errors.
    pub(super) fn reject(&mut self, errors: Vec<ImportError>) {
        self.failed += 1;
        self.errors.extend(errors);
        self.errors.truncate(MAX_ERRORS);
    }

    /// The same, with the rows converted.
    pub(super) fn map<T>(self, convert: impl FnOnce(Vec<R>) -> T) -> Checked<T> {
        let Self { rows, errors, failed, skipped } = self;
        Checked { rows: convert(rows), errors, failed, skipped }
    }
}

/// Replaces the decimal comma of a number by a decimal point; `None` if a point separates anything but groups of three
/// digits.
fn with_decimal_point(text: &str) -> Option<String> {
    let (whole, fraction) = text.split_once(',').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let mut groups = digits.split('.');
    let first = groups.next().unwrap_or_default();
    let is_grouped = digits.contains('.');
    if (is_grouped && (first.is_empty() || first.len() > 3))
        || groups.any(|group| group.len() != 3)
        || fraction.contains('.')
    {
        return None;
    }
    let whole = whole.replace('.', "");
    Some(if text.contains(',') { format!("{whole}.{fraction}") } else { whole })
}
