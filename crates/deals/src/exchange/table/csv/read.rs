//! Reading text as a table.

use guildhall_kernel::csv::unescape;

use super::dialect::{count_line_ends, declared_delimiter, decode, detect_delimiter};
use crate::{
    NewImport, Result,
    exchange::table::sheet::{Cell, MAX_CELLS, MAX_ROWS, Row, Sheet, invalid_file, too_many_cells},
};

/// The maximum number of cells in a row of text, including those after the last column: some programs write empty ones.
const MAX_ROW_CELLS: usize = 1_000;

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

/// Parses the usual variants of CSV.
pub(crate) fn read(new: &NewImport) -> Result<Sheet> {
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use guildhall_kernel::csv::escape;

    use super::*;
    use crate::exchange::table::read;

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
            end in proptest::sample::select(vec![
                csv::Terminator::CRLF,
                csv::Terminator::Any(b'\n'),
                csv::Terminator::Any(b'\r'),
            ]),
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
                    let cells = |row: &Row| row.cells.iter().map(|cell| cell.as_str().to_owned()).collect();
                    sheet.rows.iter().map(cells).collect()
                }
                Err(_) => Vec::new(),
            };
            proptest::prop_assert_eq!(actual, expected);
        }
    }
}
