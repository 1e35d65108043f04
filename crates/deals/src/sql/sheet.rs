//! Tables of text: reading them in whatever way they were written, and writing them so that no cell is a formula.

use bytes::Bytes;

use super::workbook;
use crate::{Error, NewImport, Result};

/// How many rows a table has at most.
pub(super) const MOST_ROWS: usize = 100_000;
/// How many columns.
pub(super) const MOST_COLUMNS: usize = 100;
/// In how much of a file it is looked what stands between cells.
const SNIFFED: usize = 64 * 1024;

/// A table that was read.
pub(super) struct Sheet {
    pub(super) headings: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// A row of it.
pub(super) struct Row {
    /// The line of the file on which it begins, from 1.
    pub(super) line: u64,
    pub(super) cells: Vec<String>,
}

pub(super) fn unreadable(message: impl Into<String>) -> Error {
    Error::field("file", message)
}

/// Reads a table: a workbook, or text.
pub(super) fn read(new: &NewImport) -> Result<Sheet> {
    let sheet = if workbook::is_workbook(&new.bytes) { workbook::read(&new.bytes)? } else { read_text(new)? };
    if sheet.headings.len() > MOST_COLUMNS {
        return Err(unreadable(format!("A table has at most {MOST_COLUMNS} columns.")));
    }
    if sheet.rows.len() > MOST_ROWS {
        return Err(unreadable(format!("A table has at most {MOST_ROWS} rows.")));
    }
    if sheet.rows.is_empty() {
        return Err(unreadable("There is no row in it."));
    }
    Ok(sheet)
}

fn read_text(new: &NewImport) -> Result<Sheet> {
    let bytes: &[u8] = new.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&new.bytes);
    let windows = new.is_windows_1252.unwrap_or_else(|| std::str::from_utf8(bytes).is_err());
    let text = if windows {
        encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0
    } else {
        std::str::from_utf8(bytes).map_err(|_| unreadable("It is no UTF-8."))?.into()
    };
    if text.contains('\0') {
        return Err(unreadable("It is no table of text."));
    }
    let delimiter = new.delimiter.unwrap_or_else(|| sniff(&text));
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let wrong = |error: csv::Error| unreadable(format!("It is no table: {error}."));
    let headings: Vec<String> =
        reader.headers().map_err(wrong)?.iter().map(|heading| heading.trim().to_owned()).collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if rows.len() > MOST_ROWS {
            break;
        }
        let line = record.position().map_or(0, csv::Position::line);
        rows.push(Row { line, cells: record.iter().map(|cell| plain(cell).to_owned()).collect() });
    }
    Ok(Sheet { headings, rows })
}

/// What stands between cells: whichever of comma, semicolon and tab is most often in the first line outside quotes.
fn sniff(text: &str) -> u8 {
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    for byte in text.bytes().take(SNIFFED) {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            byte if !quoted => {
                if let Some((_, count)) = counts.iter_mut().find(|(known, _)| *known == byte) {
                    *count += 1;
                }
            }
            _ => {}
        }
    }
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(byte, _)| *byte)
}

/// What a spreadsheet would take for a formula (OWASP, CSV injection).
fn begins_a_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// A cell as it is written: an apostrophe keeps a spreadsheet from running it.
fn safe(cell: &str) -> String {
    // One that looks as if it had been made safe is made safe once more, so that it comes back as it was.
    let escaped = cell.strip_prefix('\'').is_some_and(|rest| begins_a_formula(rest.trim_start_matches('\'')));
    if (begins_a_formula(cell) && !is_number(cell)) || escaped { format!("'{cell}") } else { cell.to_owned() }
}

/// A cell as it was before it was made safe.
fn plain(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if begins_a_formula(rest.trim_start_matches('\'')) => rest,
        _ => cell,
    }
}

/// Rows as text.
pub(super) fn write<S: AsRef<str>>(rows: impl IntoIterator<Item = Vec<S>>) -> guildhall_kernel::Result<Bytes> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| safe(cell.as_ref())).collect();
        writer.write_record(&cells).map_err(guildhall_kernel::Error::internal)?;
    }
    let bytes = writer.into_inner().map_err(|error| guildhall_kernel::Error::internal(error.to_string()))?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_every_cell_comes_back() {
        for cell in [
            "=1+1", "+49 30", "-5.00", "-x", "@me", "\tx", "\rx", "'=1", "''=1", "'quoted'", "plain", "", "-", "'",
            "a,b", "\"q\"",
        ] {
            let written = safe(cell);
            assert!(!begins_a_formula(&written) || is_number(&written), "{cell:?}");
            assert_eq!(plain(&written), cell, "{cell:?}");
        }
        assert_eq!((safe("-5.00").as_str(), safe("=1").as_str()), ("-5.00", "'=1"));
    }

    #[test]
    fn what_stands_between_cells_is_found_out() {
        for (text, expected) in
            [("a,b;c,d\n;;;;", b','), ("a;b;\"c,,,,,\"\n", b';'), ("a\tb\n", b'\t'), ("a\n", b','), ("", b',')]
        {
            assert_eq!(sniff(text), expected, "{text:?}");
        }
    }
}
