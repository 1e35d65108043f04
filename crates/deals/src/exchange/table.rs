//! Reading and writing tables as text and as workbooks.

pub(crate) mod csv;
pub(crate) mod sheet;
pub(crate) mod xlsx;

use self::sheet::{MAX_COLUMNS, MAX_ROWS, Sheet, invalid_file};
use crate::{NewImport, Result};

/// Parses a table: a workbook, or text.
pub(crate) fn read(new: &NewImport) -> Result<Sheet> {
    let sheet = if xlsx::is_workbook(&new.bytes) { xlsx::read(&new.bytes)? } else { csv::read(new)? };
    if sheet.headings.len() > MAX_COLUMNS {
        return Err(invalid_file(format!("The table has more than {MAX_COLUMNS} columns.")));
    }
    if sheet.rows.len() > MAX_ROWS {
        return Err(invalid_file(format!("The table has more than {MAX_ROWS} rows.")));
    }
    if sheet.rows.is_empty() {
        return Err(invalid_file("The table has no rows."));
    }
    Ok(sheet)
}
