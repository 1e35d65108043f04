//! Tables as text: reading the usual variants of CSV, and writing CSV in which no cell is a formula.

use std::borrow::Cow;

use bytes::Bytes;
use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::{Error, NewImport, Result, exchange::table::xlsx};

/// The maximum number of rows.
pub(crate) const MAX_ROWS: usize = 100_000;
/// The maximum number of columns.
pub(crate) const MAX_COLUMNS: usize = 100;
/// The maximum number of cells, without trailing empty ones.
pub(crate) const MAX_CELLS: usize = 2_000_000;
/// The maximum number of cells in a row of text, including those after the last column: some programs write empty ones.
const MAX_ROW_CELLS: usize = 1_000;
/// How many bytes of a file are searched for its delimiter.
const DELIMITER_SAMPLE: usize = 64 * 1024;

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

/// Parses a table: a workbook, or text.
pub(crate) fn read(new: &NewImport) -> Result<Sheet> {
    let sheet = if xlsx::is_workbook(&new.bytes) { xlsx::read(&new.bytes)? } else { read_text(new)? };
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

/// The number of line ends in a text.
fn count_line_ends(text: &[u8]) -> u64 {
    let mut count = 0;
    let mut previous = 0;
    for byte in text {
        count += u64::from(*byte == b'\r' || (*byte == b'\n' && previous != b'\r'));
        previous = *byte;
    }
    count
}

/// Decodes a file. A byte order mark takes precedence over the option. Without either, the encoding is UTF-8, or
/// Windows-1252 if the file has no valid UTF-8 outside of ASCII.
fn decode(bytes: &[u8], is_windows_1252: Option<bool>) -> Result<Cow<'_, str>> {
    let utf_16 = |encoding: &'static encoding_rs::Encoding, text| {
        let (text, has_errors) = encoding.decode_without_bom_handling(text);
        if has_errors {
            return Err(invalid_file("The file has the byte order mark of UTF-16, but is not valid UTF-16."));
        }
        Ok(text)
    };
    if let Some(text) = bytes.strip_prefix(b"\xff\xfe") {
        return utf_16(UTF_16LE, text);
    }
    if let Some(text) = bytes.strip_prefix(b"\xfe\xff") {
        return utf_16(UTF_16BE, text);
    }
    let with_mark = bytes.strip_prefix(b"\xef\xbb\xbf");
    let text = with_mark.unwrap_or(bytes);
    if with_mark.is_none() && is_windows_1252 == Some(true) {
        return Ok(WINDOWS_1252.decode_without_bom_handling(text).0);
    }
    let Err(error) = std::str::from_utf8(text) else { return Ok(String::from_utf8_lossy(text)) };
    let has_utf_8 = || text.utf8_chunks().any(|chunk| !chunk.valid().is_ascii());
    if with_mark.is_none() && is_windows_1252.is_none() && !has_utf_8() {
        return Ok(WINDOWS_1252.decode_without_bom_handling(text).0);
    }
    let line = count_line_ends(&text[..error.valid_up_to()]) + 1;
    let hint = "Save the file as UTF-8, or select its encoding.";
    Err(invalid_file(format!("Line {line} is not valid UTF-8. {hint}")))
}

/// The delimiter that a first line like `sep=;` declares for Excel, and the text after that line.
fn declared_delimiter(text: &str) -> Option<(u8, &str)> {
    let rest = text.get(..4).filter(|start| start.eq_ignore_ascii_case("sep=")).and_then(|_| text.get(4..))?;
    let delimiter = *rest.as_bytes().first().filter(|byte| matches!(byte, b',' | b';' | b'\t' | b'|'))?;
    let rest = &rest[1..];
    ["\r\n", "\n", "\r"].into_iter().find_map(|end| rest.strip_prefix(end)).map(|rest| (delimiter, rest))
}

/// Rejects text with an unclosed or ambiguous quote, since the text after it would be read as part of a cell. Rejects
/// rows with very many cells before memory is allocated for them.
fn check_quotes(text: &str, delimiter: u8, first_line: u64) -> Result<()> {
    #[derive(PartialEq, Eq)]
    enum State {
        CellStart,
        Unquoted,
        Quoted,
        /// After a quote that closes the cell, unless another quote follows.
        Closed,
    }
    let (mut state, mut line, mut opened, mut cells) = (State::CellStart, first_line, first_line, 1_usize);
    let mut previous = 0;
    for byte in text.bytes() {
        let is_end = byte == b'\r' || byte == b'\n';
        if byte == b'\r' || (byte == b'\n' && previous != b'\r') {
            line += 1;
        }
        previous = byte;
        state = match state {
            State::Quoted if byte == b'"' => State::Closed,
            State::Quoted => State::Quoted,
            State::Closed if byte == b'"' => State::Quoted,
            State::CellStart if byte == b'"' => {
                opened = line;
                State::Quoted
            }
            _ if byte == delimiter => {
                cells += 1;
                State::CellStart
            }
            _ if is_end => {
                cells = 1;
                State::CellStart
            }
            State::Closed if byte == b' ' => State::Closed,
            State::Closed => {
                let message = "has text after a closing quote. Write a quote that is part of the text twice.";
                return Err(invalid_file(format!("Line {line} {message}")));
            }
            State::CellStart | State::Unquoted => State::Unquoted,
        };
        if cells > MAX_ROW_CELLS {
            return Err(invalid_file(format!("Line {line} has more than {MAX_ROW_CELLS} cells.")));
        }
    }
    if state == State::Quoted {
        return Err(invalid_file(format!("Line {opened} opens a quote that is never closed.")));
    }
    Ok(())
}

fn read_text(new: &NewImport) -> Result<Sheet> {
    let decoded = decode(&new.bytes, new.is_windows_1252)?;
    if decoded.contains('\0') {
        return Err(invalid_file("The file is not text."));
    }
    let (declared, text, first_line) = match declared_delimiter(&decoded) {
        Some((delimiter, rest)) => (Some(delimiter), rest, 2),
        None => (None, &*decoded, 1),
    };
    let delimiter = new.delimiter.or(declared).unwrap_or_else(|| detect_delimiter(text));
    check_quotes(text, delimiter, first_line)?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let invalid = |error: csv::Error| invalid_file(format!("The table cannot be parsed: {error}."));
    let headings: Vec<String> =
        reader.headers().map_err(invalid)?.iter().map(|heading| heading.trim().to_owned()).collect();
    let (mut rows, mut cells) = (Vec::new(), 0);
    // The position up to which lines were counted, and the line there.
    let (mut counted, mut line) = (0, first_line);
    for record in reader.records() {
        let record = record.map_err(invalid)?;
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if rows.len() > MAX_ROWS {
            break;
        }
        // The position is before skipped line ends, or between the two bytes of one.
        let start = record.position().and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(counted);
        let blank = text.as_bytes()[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        line += count_line_ends(&text.as_bytes()[counted..start + blank]);
        counted = start + blank;
        let read = record.iter().map(|cell| Cell::Text(unescape(cell).to_owned())).collect();
        let row = Row::new(line, read, headings.len());
        cells += row.cells.len();
        if cells > MAX_CELLS {
            return Err(too_many_cells());
        }
        rows.push(row);
    }
    Ok(Sheet { headings, rows })
}

/// The delimiter: whichever of comma, semicolon and tab is the most frequent in the first line, outside quotes.
fn detect_delimiter(text: &str) -> u8 {
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    for byte in text.bytes().take(DELIMITER_SAMPLE) {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
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

/// Whether a spreadsheet would read a cell as a formula, also in full-width characters (OWASP: CSV injection).
fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Escapes a formula with an apostrophe, so that spreadsheets show it as text.
fn escape(cell: &str) -> String {
    // A cell that looks escaped is escaped again, so that `unescape` restores it.
    let looks_escaped = cell.strip_prefix('\'').is_some_and(|rest| is_formula(rest.trim_start_matches('\'')));
    if (is_formula(cell) && !is_number(cell)) || looks_escaped { format!("'{cell}") } else { cell.to_owned() }
}

/// Reverses [`escape`].
fn unescape(cell: &str) -> &str {
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
        writer.write_record(&cells).map_err(guildhall_kernel::Error::internal)?;
    }
    let bytes = writer.into_inner().map_err(|error| guildhall_kernel::Error::internal(error.to_string()))?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(bytes: impl Into<Bytes>) -> NewImport {
        NewImport {
            kind: crate::ImportKind::Clients,
            file_name: String::new(),
            bytes: bytes.into(),
            delimiter: None,
            is_windows_1252: None,
            decimal_comma: false,
            mapping: std::collections::BTreeMap::new(),
            on_duplicate: crate::OnDuplicate::Error,
            mode: crate::ImportMode::Atomic,
            dry_run: true,
        }
    }

    /// The lines and cells of a table.
    fn rows(bytes: impl Into<Bytes>) -> Vec<(u64, String)> {
        let sheet = read(&table(bytes)).unwrap_or_else(|error| panic!("{error}"));
        let cells = |row: Row| row.cells.iter().map(Cell::as_str).collect::<Vec<_>>().join("|");
        sheet.rows.into_iter().map(|row| (row.line, cells(row))).collect()
    }

    fn error(bytes: impl Into<Bytes>) -> String {
        let error = guildhall_kernel::Error::from(read(&table(bytes)).err().unwrap());
        error.fields()["file"].join(" ")
    }

    #[test]
    fn fault_r04_an_unclosed_quote_is_rejected_with_its_line() {
        let message = error("title,client\nA,\"unfinished\nB,Beta\nC,Gamma\n");
        assert!(message.contains("Line 2"), "{message}");
        let message = error("title,client\nA,x\nB,\"two\" words\n");
        assert!(message.contains("Line 3"), "{message}");
        assert_eq!(
            rows("title,client\nA,\"a \"\"b\"\"\nc\" \nB,3\" pipe\n"),
            [(2, "A|a \"b\"\nc ".into()), (4, "B|3\" pipe".into())]
        );
    }

    #[test]
    fn fault_r05_an_invalid_byte_in_utf_8_does_not_select_another_encoding() {
        let mixed = [b"name\nM\xc3\xbcller\nCaf".as_slice(), b"\xe9\n"].concat();
        assert!(error(mixed.clone()).contains("Line 3"));
        assert!(error([b"\xef\xbb\xbf".as_slice(), b"name\nCaf\xe9\n"].concat()).contains("Line 2"));
        let explicit = NewImport { is_windows_1252: Some(true), ..table(mixed) };
        assert_eq!(read(&explicit).unwrap().rows[0].cells[0].as_str(), "MÃ¼ller", "the option takes precedence");
        assert_eq!(rows(b"name\nM\xfcller\nCaf\xe9\n".as_slice()), [(2, "Müller".into()), (3, "Café".into())]);
    }

    #[test]
    fn fault_r06_utf_16_text_of_excel_is_read() {
        let text = "name\tphone\r\nMüller\t1\r\n";
        let little: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        for bytes in [little.clone(), big] {
            assert_eq!(rows(bytes), [(2, "Müller|1".into())]);
        }
        assert!(error([little, vec![0]].concat()).contains("UTF-16"));
    }

    #[test]
    fn fault_r07_the_first_line_may_declare_the_delimiter() {
        assert_eq!(rows("sep=;\nname;notes\nA,b;c\n"), [(3, "A,b|c".into())]);
        assert_eq!(rows("SEP=|\r\nname|notes\r\nA|c\r\n"), [(3, "A|c".into())]);
        assert_eq!(rows("sep=x\nfoo\n"), [(2, "foo".into())], "a heading, not a declaration");
    }

    #[test]
    fn fault_r12_lines_are_counted_like_in_editors() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a,b", "1,2", "", "3,4", "\"5", "6\",7", "8,9", ""].join(end);
            let lines: Vec<u64> = rows(text).into_iter().map(|(line, _)| line).collect();
            assert_eq!(lines, [2, 4, 5, 7], "{end:?}");
        }
    }

    #[test]
    fn fault_9_a_row_with_very_many_cells_is_rejected_before_it_is_parsed() {
        assert!(error(format!("a,b\nx{}\n", ",".repeat(5000))).contains("Line 2"));
        assert_eq!(rows(format!("a,b\nx,y{}\n", ",".repeat(900))), [(2, "x|y".into())]);
        let wide = format!("{}\n", ["x"; 99].join(","));
        let file = format!("{wide}{}", wide.repeat(21_000));
        assert!(error(file).contains("cells"));
    }

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

    #[test]
    fn the_delimiter_is_detected() {
        for (text, expected) in
            [("a,b;c,d\n;;;;", b','), ("a;b;\"c,,,,,\"\n", b';'), ("a\tb\n", b'\t'), ("a\n", b','), ("", b',')]
        {
            assert_eq!(detect_delimiter(text), expected, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn fuzz_arbitrary_bytes_are_parsed_or_rejected(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400),
            prefix in proptest::sample::select(vec![&b""[..], b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"sep=;\n"]),
        ) {
            let _ = read(&table([prefix, &bytes].concat()));
        }

        #[test]
        fn fuzz_no_cell_is_lost(text in "a,b,c\n[ab0, ;|\t\"\r\n='é\u{feff}-]{0,200}") {
            if let Ok(sheet) = read(&NewImport { delimiter: Some(b','), ..table(text.clone()) }) {
                let lines = text.split(['\n', '\r']).count() as u64;
                for row in &sheet.rows {
                    proptest::prop_assert!(row.line > 1 && row.line <= lines, "{} of {lines}", row.line);
                }
                // Every character is in a cell, or after the last column.
                let count = |text: &str| text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == 'é').count();
                let mut read: usize = sheet.headings.iter().map(|heading| count(heading)).sum();
                for row in &sheet.rows {
                    if row.extra.is_some() {
                        return Ok(());
                    }
                    read += row.cells.iter().map(|cell| count(cell.as_str())).sum::<usize>();
                }
                proptest::prop_assert_eq!(read, count(&text));
            }
        }

        #[test]
        fn fuzz_written_tables_are_read_unchanged(
            written in proptest::collection::vec(
                proptest::collection::vec("[ab0, ;|\t\"\r\n='é-]{0,6}", 3),
                1..6,
            ),
            delimiter in proptest::sample::select(b",;\t|".to_vec()),
            end in proptest::sample::select(vec![csv::Terminator::CRLF, csv::Terminator::Any(b'\n'), csv::Terminator::Any(b'\r')]),
            style in proptest::sample::select(vec![csv::QuoteStyle::Necessary, csv::QuoteStyle::Always]),
        ) {
            let mut writer = csv::WriterBuilder::new();
            let mut writer = writer.delimiter(delimiter).terminator(end).quote_style(style).from_writer(Vec::new());
            writer.write_record(["one", "two", "three"]).unwrap();
            for row in &written {
                writer.write_record(row.iter().map(|cell| escape(cell))).unwrap();
            }
            let new = NewImport { delimiter: Some(delimiter), ..table(writer.into_inner().unwrap()) };
            let blank = |cell: &String| cell.trim().is_empty();
            let expected: Vec<Vec<String>> = written
                .into_iter()
                .filter(|row| !row.iter().all(|cell| escape(cell).trim().is_empty()))
                .map(|mut row| {
                    while row.last().is_some_and(blank) {
                        row.pop();
                    }
                    row
                })
                .collect();
            let actual: Vec<Vec<String>> = match read(&new) {
                Ok(sheet) => {
                    sheet.rows.iter().map(|row| row.cells.iter().map(|cell| cell.as_str().to_owned()).collect()).collect()
                }
                Err(_) => Vec::new(),
            };
            proptest::prop_assert_eq!(actual, expected);
        }
    }
}
