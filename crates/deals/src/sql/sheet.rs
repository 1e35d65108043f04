//! Tables of text: reading them in whatever way they were written, and writing them so that no cell is a formula.

use std::borrow::Cow;

use bytes::Bytes;
use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::workbook;
use crate::{Error, NewImport, Result};

/// How many rows a table has at most.
pub(super) const MOST_ROWS: usize = 100_000;
/// How many columns.
pub(super) const MOST_COLUMNS: usize = 100;
/// How many cells that hold something or stand before one that does.
pub(super) const MOST_CELLS: usize = 2_000_000;
/// How many cells a row of text may have, with those behind the last column: some programs write empty ones.
const MOST_IN_ROW: usize = 1_000;
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
    /// No more than there are headings.
    pub(super) cells: Vec<Cell>,
    /// What stands where there is no column, if anything does.
    pub(super) beyond: Option<String>,
}

/// What a cell holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// Text as it was typed.
    Text(String),
    /// A number of a workbook, with a point: settings about how text is read do not hold for it.
    Number(String),
    /// A formula that has no value: `#DIV/0!`.
    Error(String),
}

impl Cell {
    pub(super) fn as_str(&self) -> &str {
        let (Self::Text(text) | Self::Number(text) | Self::Error(text)) = self;
        text
    }
}

impl Row {
    /// A row of these cells, of which only so many have a column.
    pub(super) fn new(line: u64, mut cells: Vec<Cell>, columns: usize) -> Self {
        let is_blank = |cell: &Cell| cell.as_str().trim().is_empty();
        let beyond = cells.iter().skip(columns).find(|cell| !is_blank(cell)).map(|cell| cell.as_str().to_owned());
        cells.truncate(columns);
        while cells.last().is_some_and(is_blank) {
            cells.pop();
        }
        cells.shrink_to_fit();
        Self { line, cells, beyond }
    }
}

pub(super) fn unreadable(message: impl Into<String>) -> Error {
    Error::field("file", message)
}

pub(super) fn too_many_cells() -> Error {
    unreadable(format!("A table has at most {MOST_CELLS} cells."))
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

/// How many lines have ended before the end of a text.
fn line_ends(text: &[u8]) -> u64 {
    let mut ends = 0;
    let mut before = 0;
    for byte in text {
        ends += u64::from(*byte == b'\r' || (*byte == b'\n' && before != b'\r'));
        before = *byte;
    }
    ends
}

/// The text of a file. Its mark tells the encoding, before anything that is said about it; without one it is UTF-8, or
/// where nothing in it looks like UTF-8 that of Windows in Western Europe.
fn decode(bytes: &[u8], is_windows_1252: Option<bool>) -> Result<Cow<'_, str>> {
    let utf_16 = |encoding: &'static encoding_rs::Encoding, text| {
        let (text, has_faults) = encoding.decode_without_bom_handling(text);
        if has_faults { Err(unreadable("It begins with the mark of UTF-16 and is not UTF-16.")) } else { Ok(text) }
    };
    if let Some(text) = bytes.strip_prefix(b"\xff\xfe") {
        return utf_16(UTF_16LE, text);
    }
    if let Some(text) = bytes.strip_prefix(b"\xfe\xff") {
        return utf_16(UTF_16BE, text);
    }
    let marked = bytes.strip_prefix(b"\xef\xbb\xbf");
    let text = marked.unwrap_or(bytes);
    if marked.is_none() && is_windows_1252 == Some(true) {
        return Ok(WINDOWS_1252.decode_without_bom_handling(text).0);
    }
    let Err(fault) = std::str::from_utf8(text) else { return Ok(String::from_utf8_lossy(text)) };
    let has_utf_8 = || text.utf8_chunks().any(|chunk| !chunk.valid().is_ascii());
    if marked.is_none() && is_windows_1252.is_none() && !has_utf_8() {
        return Ok(WINDOWS_1252.decode_without_bom_handling(text).0);
    }
    let line = line_ends(&text[..fault.valid_up_to()]) + 1;
    let hint = "Save it as UTF-8, or say which encoding it has.";
    Err(unreadable(format!("It is UTF-8, but for line {line}, which holds bytes that are not. {hint}")))
}

/// A first line like `sep=;`, by which programs tell Excel what stands between cells; gives that and what follows.
fn announced_delimiter(text: &str) -> Option<(u8, &str)> {
    let rest = text.get(..4).filter(|word| word.eq_ignore_ascii_case("sep=")).and_then(|_| text.get(4..))?;
    let delimiter = *rest.as_bytes().first().filter(|byte| matches!(byte, b',' | b';' | b'\t' | b'|'))?;
    let rest = &rest[1..];
    ["\r\n", "\n", "\r"].into_iter().find_map(|end| rest.strip_prefix(end)).map(|rest| (delimiter, rest))
}

/// Refuses text in which a quote is never closed, or stands where it could mean two things: what follows would be read
/// as part of a cell. Refuses rows of very many cells before anything is made of them.
fn check_shape(text: &str, delimiter: u8, first_line: u64) -> Result<()> {
    #[derive(PartialEq, Eq)]
    enum At {
        Start,
        Plain,
        Quoted,
        /// Behind a quote that closes the cell, unless another follows.
        Closed,
    }
    let (mut at, mut line, mut opened, mut cells) = (At::Start, first_line, first_line, 1_usize);
    let mut before = 0;
    for byte in text.bytes() {
        let is_end = byte == b'\r' || byte == b'\n';
        if byte == b'\r' || (byte == b'\n' && before != b'\r') {
            line += 1;
        }
        before = byte;
        at = match at {
            At::Quoted if byte == b'"' => At::Closed,
            At::Quoted => At::Quoted,
            At::Closed if byte == b'"' => At::Quoted,
            At::Start if byte == b'"' => {
                opened = line;
                At::Quoted
            }
            _ if byte == delimiter => {
                cells += 1;
                At::Start
            }
            _ if is_end => {
                cells = 1;
                At::Start
            }
            At::Closed if byte == b' ' => At::Closed,
            At::Closed => {
                let message = "closes a quote within a cell; a quote that belongs to the text is written twice.";
                return Err(unreadable(format!("Line {line} {message}")));
            }
            At::Start | At::Plain => At::Plain,
        };
        if cells > MOST_IN_ROW {
            return Err(unreadable(format!("Line {line} has more than {MOST_IN_ROW} cells.")));
        }
    }
    if at == At::Quoted {
        return Err(unreadable(format!("Line {opened} opens a quote that is never closed.")));
    }
    Ok(())
}

fn read_text(new: &NewImport) -> Result<Sheet> {
    let decoded = decode(&new.bytes, new.is_windows_1252)?;
    if decoded.contains('\0') {
        return Err(unreadable("It is no table of text."));
    }
    let (announced, text, first_line) = match announced_delimiter(&decoded) {
        Some((delimiter, rest)) => (Some(delimiter), rest, 2),
        None => (None, &*decoded, 1),
    };
    let delimiter = new.delimiter.or(announced).unwrap_or_else(|| sniff(text));
    check_shape(text, delimiter, first_line)?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let wrong = |error: csv::Error| unreadable(format!("It is no table: {error}."));
    let headings: Vec<String> =
        reader.headers().map_err(wrong)?.iter().map(|heading| heading.trim().to_owned()).collect();
    let (mut rows, mut cells) = (Vec::new(), 0);
    // Up to where lines were counted, and the number of the line there.
    let (mut counted, mut line) = (0, first_line);
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if rows.len() > MOST_ROWS {
            break;
        }
        // The reader stands before the line ends that it passes over, or between the two halves of one.
        let start = record.position().and_then(|at| usize::try_from(at.byte()).ok()).unwrap_or(counted);
        let blank = text.as_bytes()[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        line += line_ends(&text.as_bytes()[counted..start + blank]);
        counted = start + blank;
        let read = record.iter().map(|cell| Cell::Text(plain(cell).to_owned())).collect();
        let row = Row::new(line, read, headings.len());
        cells += row.cells.len();
        if cells > MOST_CELLS {
            return Err(too_many_cells());
        }
        rows.push(row);
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

/// What a spreadsheet would take for a formula, in full width too (OWASP, CSV injection).
fn begins_a_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
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

    /// The rows of a table: line and cells.
    fn rows(bytes: impl Into<Bytes>) -> Vec<(u64, String)> {
        let sheet = read(&table(bytes)).unwrap_or_else(|error| panic!("{error}"));
        let cells = |row: Row| row.cells.iter().map(Cell::as_str).collect::<Vec<_>>().join("|");
        sheet.rows.into_iter().map(|row| (row.line, cells(row))).collect()
    }

    fn refusal(bytes: impl Into<Bytes>) -> String {
        let refused = guildhall_kernel::Error::from(read(&table(bytes)).err().unwrap());
        refused.fields()["file"].join(" ")
    }

    #[test]
    fn fault_r04_a_quote_that_is_never_closed_is_refused_with_its_line() {
        let told = refusal("title,client\nA,\"unfinished\nB,Beta\nC,Gamma\n");
        assert!(told.contains("Line 2"), "{told}");
        let told = refusal("title,client\nA,x\nB,\"two\" words\n");
        assert!(told.contains("Line 3"), "{told}");
        assert_eq!(
            rows("title,client\nA,\"a \"\"b\"\"\nc\" \nB,3\" pipe\n"),
            [(2, "A|a \"b\"\nc ".into()), (4, "B|3\" pipe".into())]
        );
    }

    #[test]
    fn fault_r05_one_bad_byte_does_not_make_a_file_of_utf_8_another() {
        let mixed = [b"name\nM\xc3\xbcller\nCaf".as_slice(), b"\xe9\n"].concat();
        assert!(refusal(mixed.clone()).contains("line 3"));
        assert!(refusal([b"\xef\xbb\xbf".as_slice(), b"name\nCaf\xe9\n"].concat()).contains("line 2"));
        let said = NewImport { is_windows_1252: Some(true), ..table(mixed) };
        assert_eq!(read(&said).unwrap().rows[0].cells[0].as_str(), "MÃ¼ller", "whoever says so knows");
        assert_eq!(rows(b"name\nM\xfcller\nCaf\xe9\n".as_slice()), [(2, "Müller".into()), (3, "Café".into())]);
    }

    #[test]
    fn fault_r06_the_text_of_excel_in_utf_16_is_read() {
        let text = "name\tphone\r\nMüller\t1\r\n";
        let little: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        for bytes in [little.clone(), big] {
            assert_eq!(rows(bytes), [(2, "Müller|1".into())]);
        }
        assert!(refusal([little, vec![0]].concat()).contains("UTF-16"));
    }

    #[test]
    fn fault_r07_a_first_line_that_tells_the_separator_is_taken_at_its_word() {
        assert_eq!(rows("sep=;\nname;notes\nA,b;c\n"), [(3, "A,b|c".into())]);
        assert_eq!(rows("SEP=|\r\nname|notes\r\nA|c\r\n"), [(3, "A|c".into())]);
        assert_eq!(rows("sep=x\nfoo\n"), [(2, "foo".into())], "that is a heading");
    }

    #[test]
    fn fault_r12_lines_are_counted_as_editors_count_them() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a,b", "1,2", "", "3,4", "\"5", "6\",7", "8,9", ""].join(end);
            let lines: Vec<u64> = rows(text).into_iter().map(|(line, _)| line).collect();
            assert_eq!(lines, [2, 4, 5, 7], "{end:?}");
        }
    }

    #[test]
    fn fault_9_a_row_of_very_many_cells_is_refused_before_it_is_cut_up() {
        assert!(refusal(format!("a,b\nx{}\n", ",".repeat(5000))).contains("Line 2"));
        assert_eq!(rows(format!("a,b\nx,y{}\n", ",".repeat(900))), [(2, "x|y".into())]);
        let wide = format!("{}\n", ["x"; 99].join(","));
        let file = format!("{wide}{}", wide.repeat(21_000));
        assert!(refusal(file).contains("cells"));
    }

    #[test]
    fn no_cell_is_a_formula_and_every_cell_comes_back() {
        for cell in [
            "=1+1", "+49 30", "-5.00", "-x", "@me", "\tx", "\rx", "'=1", "''=1", "'quoted'", "plain", "", "-", "'",
            "a,b", "\"q\"", "\n=1", "＝1", "＋1", "－1", "＠x", "'＝1",
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

    proptest::proptest! {
        #[test]
        fn fuzz_any_bytes_are_a_table_or_refused(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400),
            marked in proptest::sample::select(vec![&b""[..], b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"sep=;\n"]),
        ) {
            let _ = read(&table([marked, &bytes].concat()));
        }

        #[test]
        fn fuzz_no_cell_of_a_text_is_lost(text in "a,b,c\n[ab0, ;|\t\"\r\n='é\u{feff}-]{0,200}") {
            if let Ok(sheet) = read(&NewImport { delimiter: Some(b','), ..table(text.clone()) }) {
                let lines = text.split(['\n', '\r']).count() as u64;
                for row in &sheet.rows {
                    proptest::prop_assert!(row.line > 1 && row.line <= lines, "{} of {lines}", row.line);
                }
                // Whatever was typed is in a cell, or said to be beyond the last one.
                let typed = |text: &str| text.chars().filter(|typed| typed.is_ascii_alphanumeric() || *typed == 'é').count();
                let mut read: usize = sheet.headings.iter().map(|heading| typed(heading)).sum();
                for row in &sheet.rows {
                    if row.beyond.is_some() {
                        return Ok(());
                    }
                    read += row.cells.iter().map(|cell| typed(cell.as_str())).sum::<usize>();
                }
                proptest::prop_assert_eq!(read, typed(&text));
            }
        }

        #[test]
        fn fuzz_what_a_program_has_written_is_read_as_it_was(
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
                writer.write_record(row.iter().map(|cell| safe(cell))).unwrap();
            }
            let new = NewImport { delimiter: Some(delimiter), ..table(writer.into_inner().unwrap()) };
            let blank = |cell: &String| cell.trim().is_empty();
            let expected: Vec<Vec<String>> = written
                .into_iter()
                .filter(|row| !row.iter().all(|cell| safe(cell).trim().is_empty()))
                .map(|mut row| {
                    while row.last().is_some_and(blank) {
                        row.pop();
                    }
                    row
                })
                .collect();
            let back: Vec<Vec<String>> = match read(&new) {
                Ok(sheet) => {
                    sheet.rows.iter().map(|row| row.cells.iter().map(|cell| cell.as_str().to_owned()).collect()).collect()
                }
                Err(_) => Vec::new(),
            };
            proptest::prop_assert_eq!(back, expected);
        }
    }
}
