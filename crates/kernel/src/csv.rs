//! Cells of CSV files that no spreadsheet takes for formulas.

/// Whether a spreadsheet would read a cell as a formula, also in full-width characters (OWASP: CSV injection).
fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Escapes a formula with an apostrophe, so that spreadsheets show it as text.
pub fn escape(cell: &str) -> String {
    // A cell that looks escaped is escaped again, so that `unescape` restores it.
    let looks_escaped = cell.strip_prefix('\'').is_some_and(|rest| is_formula(rest.trim_start_matches('\'')));
    if (is_formula(cell) && !is_number(cell)) || looks_escaped { format!("'{cell}") } else { cell.to_owned() }
}

/// Reverses [`escape`].
pub fn unescape(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if is_formula(rest.trim_start_matches('\'')) => rest,
        _ => cell,
    }
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
