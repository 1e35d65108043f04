//! Writing CSV in which no cell is a formula.

use bytes::Bytes;
use guildhall_kernel::Error as KernelError;

/// Whether a spreadsheet would read a cell as a formula, also in full-width characters (OWASP: CSV injection).
fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Escapes a formula with an apostrophe, so that spreadsheets show it as text.
pub(super) fn escape(cell: &str) -> String {
    // A cell that looks escaped is escaped again, so that `unescape` restores it.
    let looks_escaped = cell.strip_prefix('\'').is_some_and(|rest| is_formula(rest.trim_start_matches('\'')));
    if (is_formula(cell) && !is_number(cell)) || looks_escaped { format!("'{cell}") } else { cell.to_owned() }
}

/// Reverses [`escape`].
pub(super) fn unescape(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if is_formula(rest.trim_start_matches('\'')) => rest,
        _ => cell,
    }
}

/// Writes rows as CSV.
pub(crate) fn write<S: AsRef<str>>(rows: impl IntoIterator<Item = Vec<S>>) -> guildhall_kernel::Result<Bytes> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| escape(cell.as_ref())).collect();
        writer.write_record(&cells).map_err(KernelError::internal)?;
    }
    let bytes = writer.into_inner().map_err(|error| KernelError::internal(error.to_string()))?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_escaped_and_every_cell_is_restored() {
        for cell in [
            "=1+1", "+49 30", "-5.00", "-x", "@me", "\tx", "\rx", "'=1", "''=1", "'quoted'", "plain", "", "-", "'",
            "a,b", "\"q\"", "\n=1", "＝1", "＋1", "－1", "＠x", "'＝1",
        ] {
            let written = escape(cell);
            assert!(!is_formula(&written) || is_number(&written), "{cell:?}");
            assert_eq!(unescape(&written), cell, "{cell:?}");
        }
        assert_eq!((escape("-5.00").as_str(), escape("=1").as_str()), ("-5.00", "'=1"));
    }
}
