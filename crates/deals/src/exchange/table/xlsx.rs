//! Excel workbooks (Office Open XML): reading the first sheet, and writing workbooks whose cells are all text.

use std::io::{self, Cursor, Read, Seek, copy, sink};

use bytes::Bytes;
use calamine::{Data, DataRef, Reader as _, Xlsx};
use futures_util::{TryStreamExt, stream::BoxStream};
use guildhall_kernel::{Error as KernelError, background};
use quick_xml::{Reader, events::Event};
use rust_xlsxwriter::Workbook;
use tokio_util::io::ReaderStream;
use zip::ZipArchive;

use crate::{
    Error, Result, Table,
    exchange::table::csv::{Cell, MAX_CELLS, MAX_COLUMNS, MAX_ROWS, Row, Sheet, invalid_file, too_many_cells},
};

/// The first bytes of every ZIP archive.
const SIGNATURE: &[u8] = b"PK\x03\x04";
/// The maximum uncompressed size of a workbook: a few compressed kilobytes can fill a disk.
const MAX_BYTES: u64 = 256 << 20;
/// The maximum size of the cells in memory: a text that is stored once may be shared by every cell.
const MAX_MEMORY: usize = 64 << 20;
/// The maximum number of rows of a sheet, set by the format.
const MAX_SHEET_ROWS: u32 = 1 << 20;
/// The maximum number of files in a workbook.
const MAX_FILES: usize = 1000;
/// The paths of the parts that are parsed whole. The format allows other paths, but no program uses them.
const WORKBOOK: &str = "xl/workbook.xml";
const SHARED_STRINGS: &str = "xl/sharedstrings.xml";
/// The limits of the shared strings.
const STRINGS: PartLimit = PartLimit { bytes: 32 << 20, elements: 2_000_000 };
/// The limits of sheets, which are parsed as a stream.
const SHEET: PartLimit = PartLimit { bytes: MAX_BYTES, elements: u64::MAX };
/// The limits of all other parts.
const OTHER: PartLimit = PartLimit { bytes: 4 << 20, elements: 100_000 };
/// The longest tag, in bytes; the parser buffers it.
const MAX_TAG: usize = 64 << 10;
/// The longest text between two tags, in bytes: a cell has at most 32,767 characters.
const MAX_TEXT: usize = 1 << 20;

/// The limits of one part, uncompressed.
#[derive(Clone, Copy)]
struct PartLimit {
    bytes: u64,
    elements: u64,
}

/// Checks XML, as a stream, for what would take much memory when it is parsed. It only recognises where tags begin and
/// end; comments and CDATA, which could hide tags, are rejected.
#[derive(Default)]
struct XmlMeter {
    state: XmlState,
    /// The length of the current tag or text.
    length: usize,
    elements: u64,
    /// The current number in an attribute, and the largest one so far: the parser reads some as sizes.
    number: u64,
    largest: u64,
    /// The name of the tag, without its prefix.
    name: String,
    /// The last byte of the name of the attribute.
    last: u8,
    /// How many letters and digits the cell reference has so far.
    letters: usize,
    digits: usize,
}

#[derive(Default, PartialEq, Eq)]
enum XmlState {
    #[default]
    Text,
    /// After a `<`.
    TagStart,
    Name,
    Tag,
    /// In the value of an attribute, up to this quote.
    Quoted(u8),
    Declaration,
}

impl XmlMeter {
    /// Reads a byte; returns `false` if the XML is rejected.
    fn step(&mut self, byte: u8) -> bool {
        self.length += 1;
        self.state = match (&self.state, byte) {
            (XmlState::Text, b'<') => {
                self.length = 0;
                XmlState::TagStart
            }
            (XmlState::Text, _) => return self.length <= MAX_TEXT,
            (XmlState::TagStart, b'!') => return false,
            (XmlState::TagStart, b'?') => XmlState::Declaration,
            (XmlState::TagStart, b'/') | (XmlState::Name, b' ' | b'\t' | b'\r' | b'\n' | b'/') => XmlState::Tag,
            (XmlState::TagStart, _) => {
                self.elements += 1;
                self.name.clear();
                self.name.push(char::from(byte));
                XmlState::Name
            }
            (XmlState::Name | XmlState::Tag | XmlState::Declaration, b'>') => {
                self.length = 0;
                XmlState::Text
            }
            (XmlState::Name, b':') => {
                self.name.clear();
                XmlState::Name
            }
            (XmlState::Name, _) => {
                self.name.push(char::from(byte));
                return self.length <= MAX_TAG;
            }
            (XmlState::Tag, quote @ (b'"' | b'\'')) => {
                (self.number, self.letters, self.digits) = (0, 0, 0);
                XmlState::Quoted(quote)
            }
            (XmlState::Tag, b'=' | b' ' | b'\t' | b'\r' | b'\n') => return self.length <= MAX_TAG,
            (XmlState::Tag, _) => {
                self.last = byte;
                return self.length <= MAX_TAG;
            }
            (XmlState::Quoted(quote), _) if byte == *quote => {
                self.largest = self.largest.max(self.number);
                XmlState::Tag
            }
            (XmlState::Quoted(_), _) => {
                if byte.is_ascii_digit() {
                    self.number = self.number.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
                }
                return self.length <= MAX_TAG && self.is_valid_reference(byte);
            }
            _ => return self.length <= MAX_TAG,
        };
        true
    }

    /// Rejects references to cells outside of the largest sheet, which overflow in the parser.
    fn is_valid_reference(&mut self, byte: u8) -> bool {
        // The attributes `r` and `ref`: no others of these elements end with the same letters.
        let is_reference = matches!(self.name.as_str(), "row" | "c" | "dimension" | "mergeCell" | "f")
            && matches!(self.last, b'r' | b'f');
        match byte {
            b'0'..=b'9' => self.digits += 1,
            b':' => (self.letters, self.digits) = (0, 0),
            _ => self.letters += 1,
        }
        !is_reference || (self.letters <= 3 && self.digits <= 7)
    }
}

impl io::Write for XmlMeter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.iter().all(|byte| self.step(*byte)) {
            Ok(bytes.len())
        } else {
            Err(io::Error::other("unsupported XML"))
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a file is a workbook, by its first bytes.
pub(crate) fn is_workbook(bytes: &[u8]) -> bool {
    bytes.starts_with(SIGNATURE)
}

fn invalid_workbook(error: impl std::fmt::Display) -> Error {
    invalid_file(format!("The file is not a valid workbook: {error}."))
}

/// Checks the size and the XML of all parts, without storing them.
fn check_size(bytes: &[u8], max: u64) -> Result<()> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(invalid_workbook)?;
    if archive.len() > MAX_FILES {
        return Err(invalid_file("The workbook contains too many files."));
    }
    let mut remaining = max;
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(invalid_workbook)?;
        let name = file.name().map_err(invalid_workbook)?.replace('\\', "/").to_ascii_lowercase();
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        let is_xml = matches!(extension, Some("xml" | "rels"));
        let limit = match name.trim_start_matches('/') {
            SHARED_STRINGS => STRINGS,
            name if name.starts_with("xl/worksheets/") && extension == Some("xml") => SHEET,
            _ if is_xml || extension == Some("bin") => OTHER,
            // Pictures and the like are not parsed.
            _ => SHEET,
        };
        let max = limit.bytes.min(remaining);
        let mut meter = XmlMeter::default();
        let mut file = file.take(max + 1);
        let size = if is_xml { copy(&mut file, &mut meter) } else { copy(&mut file, &mut sink()) }
            .map_err(invalid_workbook)?;
        if size > max || meter.elements > limit.elements {
            return Err(too_large());
        }
        // The parser allocates memory for as many strings as the part declares.
        if limit.elements != SHEET.elements && name.ends_with(SHARED_STRINGS) && meter.largest > STRINGS.elements {
            return Err(too_large());
        }
        remaining -= size;
    }
    check_paths(&mut archive)
}

fn too_large() -> Error {
    invalid_file("The workbook is too large.")
}

/// Rejects a package whose workbook or sheets are not at the usual paths, since the limits are chosen by path.
fn check_paths<R: Read + Seek>(archive: &mut ZipArchive<R>) -> Result<()> {
    let unsupported = || invalid_file("The structure of the workbook is not supported.");
    for name in ["_rels/.rels", "xl/_rels/workbook.xml.rels"] {
        let mut text = String::new();
        let mut file = archive.by_name(name).map_err(|_| unsupported())?;
        file.read_to_string(&mut text).map_err(invalid_workbook)?;
        let mut reader = Reader::from_str(&text);
        loop {
            match reader.read_event().map_err(invalid_workbook)? {
                Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == "Relationship" => {
                    let value =
                        |name: &str| tag.try_get_attribute(name).ok().flatten().map(|value| value.value.into_owned());
                    let target = value("Target").unwrap_or_default();
                    let is_usual = if name == "_rels/.rels" {
                        let is_document =
                            value("Type").is_some_and(|kind| kind.ends_with("/relationships/officeDocument"));
                        !is_document || target.strip_prefix('/').unwrap_or(&target) == WORKBOOK
                    } else {
                        let is_internal = value("TargetMode").is_none_or(|mode| mode != "External");
                        let extension = target.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
                        !is_internal || matches!(extension.as_deref(), Some("xml" | "bin"))
                    };
                    if !is_usual {
                        return Err(unsupported());
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
    }
    Ok(())
}

/// A number as Excel shows it: with 15 significant digits, which removes the rounding errors of its binary form.
fn number(value: f64) -> String {
    let rounded = format!("{value:.14e}").parse().unwrap_or(value);
    // Never in exponential notation.
    format!("{rounded}")
}

/// The content of a cell: whole numbers without a decimal point, dates in ISO 8601.
fn read_cell(value: &DataRef<'_>) -> Cell {
    match value {
        DataRef::Float(value) => Cell::Number(number(*value)),
        DataRef::Int(value) => Cell::Number(value.to_string()),
        DataRef::Error(error) => Cell::Error(error.to_string()),
        DataRef::DateTime(moment) if moment.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
            let date = format!("{year:04}-{month:02}-{day:02}");
            let is_day = (hour, minute, second) == (0, 0, 0);
            Cell::Text(if is_day { date } else { format!("{date} {hour:02}:{minute:02}:{second:02}") })
        }
        DataRef::DateTimeIso(iso) => Cell::Text(iso.strip_suffix("T00:00:00").unwrap_or(iso).to_owned()),
        DataRef::Bool(value) => Cell::Text(value.to_string()),
        DataRef::Empty => Cell::Text(String::new()),
        value => Cell::Text(Data::from(value.clone()).to_string()),
    }
}

/// Builds a sheet from its cells.
#[derive(Default)]
struct SheetBuilder {
    headings: Option<Vec<String>>,
    rows: Vec<Row>,
    /// The current row, and its line.
    row: Vec<Cell>,
    line: u64,
    /// The number of cells so far, and their size in bytes.
    cells: usize,
    memory: usize,
}

impl SheetBuilder {
    fn columns(&self) -> usize {
        self.headings.as_ref().map_or(0, Vec::len)
    }

    fn add(&mut self, line: u64, column: usize, cell: Cell) -> Result<()> {
        if line != self.line {
            self.end_row();
            self.line = line;
        }
        let is_beyond_limit = column >= MAX_COLUMNS;
        if is_beyond_limit && self.headings.is_none() {
            return Err(invalid_file(format!("The table has more than {MAX_COLUMNS} columns.")));
        }
        // A cell after the last column is only reported, so the cells before it need no memory.
        let index = if is_beyond_limit { self.row.len().max(self.columns()) } else { column };
        let added = (index + 1).saturating_sub(self.row.len());
        self.cells += added;
        self.memory += cell.as_str().len() + added * size_of::<Cell>();
        if self.cells > MAX_CELLS {
            return Err(too_many_cells());
        }
        if self.memory > MAX_MEMORY {
            return Err(too_large());
        }
        self.row.resize(self.row.len().max(index + 1), Cell::Text(String::new()));
        self.row[index] = cell;
        Ok(())
    }

    fn end_row(&mut self) {
        let row = std::mem::take(&mut self.row);
        if row.is_empty() {
            return;
        }
        match &self.headings {
            None => self.headings = Some(row.iter().map(|cell| cell.as_str().trim().to_owned()).collect()),
            Some(headings) => self.rows.push(Row::new(self.line, row, headings.len())),
        }
    }
}

fn read_sheet<R: Read + Seek>(book: &mut Xlsx<R>, name: &str) -> Result<Sheet> {
    let mut cells = book.worksheet_cells_reader(name).map_err(invalid_workbook)?;
    let mut builder = SheetBuilder::default();
    while let Some(cell) = cells.next_cell().map_err(invalid_workbook)? {
        let (line, column) = cell.get_position();
        let value = read_cell(cell.get_value());
        if value.as_str().is_empty() {
            continue;
        }
        builder.add(u64::from(line) + 1, column as usize, value)?;
        if builder.rows.len() > MAX_ROWS {
            break;
        }
    }
    builder.end_row();
    Ok(Sheet { headings: builder.headings.unwrap_or_default(), rows: builder.rows })
}

/// Reads the first sheet of a workbook.
pub(crate) fn read(bytes: &Bytes) -> Result<Sheet> {
    check_size(bytes, MAX_BYTES)?;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes.clone())).map_err(invalid_workbook)?;
    let first = book.sheet_names().first().cloned().ok_or_else(|| invalid_file("The workbook has no sheets."))?;
    read_sheet(&mut book, &first)
}

/// Rows, in chunks.
pub(crate) type Rows = BoxStream<'static, guildhall_kernel::Result<Vec<Vec<String>>>>;

/// Writes rows into an unnamed temporary file.
async fn write_file(mut chunks: Rows) -> guildhall_kernel::Result<std::fs::File> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet_with_constant_memory().map_err(KernelError::internal)?;
    let mut line = 0;
    while let Some(rows) = chunks.try_next().await? {
        for row in rows {
            if line == MAX_SHEET_ROWS {
                let message = format!("A workbook has at most {MAX_SHEET_ROWS} rows. Filter the list, or export CSV.");
                return Err(KernelError::field("format", message));
            }
            for (column, cell) in (0_u16..).zip(&row) {
                if !cell.is_empty() {
                    // Always as text, never as a formula.
                    sheet.write_string(line, column, cell).map_err(KernelError::internal)?;
                }
            }
            line += 1;
        }
    }
    let mut file = tempfile::tempfile().map_err(KernelError::internal)?;
    book.save_to_writer(&mut file).map_err(KernelError::internal)?;
    file.rewind().map_err(KernelError::internal)?;
    Ok(file)
}

/// Writes rows as a workbook. It goes through a temporary file, because its beginning depends on its end, so memory does
/// not grow with the number of rows.
pub(crate) async fn write(rows: Rows) -> Result<Table> {
    let file = tokio::fs::File::from_std(background::run_blocking(write_file(rows)).await??);
    Ok(Box::pin(ReaderStream::with_capacity(file, 64 << 10).map_err(KernelError::internal)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use futures_util::{StreamExt, stream};
    use rust_xlsxwriter::{ExcelDateTime, Format, Formula};
    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    async fn bytes(table: Table) -> Bytes {
        table.try_collect::<Vec<Bytes>>().await.unwrap().concat().into()
    }

    #[tokio::test]
    async fn written_cells_are_text_and_are_read_unchanged() {
        let rows = vec![vec!["a", "b"], vec!["=1+1", "'x"], vec!["", "-5.00"], vec!["ü", "1e3"]];
        let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.into_iter().map(str::to_owned).collect()).collect();
        let (first, rest) = rows.split_at(2);
        let chunks: Vec<guildhall_kernel::Result<_>> = vec![Ok(first.to_vec()), Ok(rest.to_vec())];
        let written = bytes(write(stream::iter(chunks).boxed()).await.unwrap()).await;
        assert!(is_workbook(&written));
        let sheet = read(&written).unwrap();
        assert_eq!(sheet.headings, ["a", "b"]);
        let actual: Vec<_> = sheet.rows.iter().map(|row| (row.line, texts(row))).collect();
        let expected: Vec<_> = (2_u64..).zip(rows[1..].iter().cloned()).collect();
        assert_eq!(actual, expected);
    }

    fn texts(row: &Row) -> Vec<String> {
        row.cells.iter().map(|cell| cell.as_str().to_owned()).collect()
    }

    /// A minimal workbook with these parts added or replaced.
    fn package(parts: &[(&str, &str)]) -> Bytes {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let relationship = |target: &str| {
            format!(
                "<Relationships><Relationship Id=\"r1\" Type=\"http://x/relationships/officeDocument\" Target=\"{target}\"/>\
                 </Relationships>"
            )
        };
        let sheet = "<worksheet><sheetData><row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>name</t></is></c></row>\
             <row r=\"2\"><c r=\"A2\" t=\"inlineStr\"><is><t>x</t></is></c></row></sheetData></worksheet>";
        let book = "<workbook xmlns:r=\"r\"><sheets><sheet name=\"s\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>";
        let book_relationships = "<Relationships><Relationship Id=\"r1\" Type=\"http://x/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
             </Relationships>";
        let root = relationship("xl/workbook.xml");
        let default = [
            ("_rels/.rels", root.as_str()),
            ("xl/workbook.xml", book),
            ("xl/_rels/workbook.xml.rels", book_relationships),
            ("xl/worksheets/sheet1.xml", sheet),
        ];
        let others = default.iter().filter(|(name, _)| parts.iter().all(|(other, _)| other != name));
        for (name, text) in others.chain(parts) {
            archive.start_file(*name, SimpleFileOptions::default()).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        archive.finish().unwrap().into_inner().into()
    }

    #[test]
    fn fault_2_workbooks_that_would_take_much_memory_are_rejected_before_they_are_parsed() {
        assert_eq!(read(&package(&[])).unwrap().rows.len(), 1, "the minimal workbook is valid");
        let strings = |text: String| format!("<sst>{text}</sst>");
        let unusual = "<Relationships><Relationship Id=\"r1\" \
             Type=\"http://x/relationships/officeDocument\" Target=\"xl/worksheets/book.xml\"/></Relationships>";
        for (case, name, text) in [
            ("many strings", "xl/sharedStrings.xml", strings("<si/>".repeat(2_000_001))),
            ("many strings at another spelling", "XL\\SharedStrings.xml", strings("<si/>".repeat(2_000_001))),
            ("long text", "xl/sharedStrings.xml", strings("<si><t>aaaaaaaaaaaaaaaaaaaaaa</t></si>".repeat(1_000_000))),
            ("declared strings", "xl/sharedStrings.xml", "<sst uniqueCount=\"4000000000\"/>".into()),
            ("a count that overflows", "xl/sharedStrings.xml", "<sst uniqueCount='99999999999999999999999'/>".into()),
            ("many sheets", "xl/workbook.xml", "<sheet name=\"a\" id=\"r1\"/>".repeat(100_001)),
            ("many styles", "xl/styles.xml", "<xf/>".repeat(100_001)),
            ("a long tag", "xl/worksheets/sheet1.xml", format!("<c r=\"{}\"/>", "<".repeat(100_000))),
            ("a long text", "xl/worksheets/sheet1.xml", format!("<v>{}</v>", "x".repeat(2 << 20))),
            ("a comment", "xl/worksheets/sheet1.xml", "<worksheet><!-- x --></worksheet>".into()),
            ("a row outside of any sheet", "xl/worksheets/sheet1.xml", "<row r=\"4294967297\">".into()),
            ("a column outside of any sheet", "xl/worksheets/sheet1.xml", "<x:c s = '1' r = 'A1:ZZZZ1'>".into()),
            ("a workbook at an unusual path", "_rels/.rels", unusual.into()),
            (
                "a sheet with an extension that is not checked",
                "xl/_rels/workbook.xml.rels",
                "<Relationships><Relationship Id=\"r1\" Type=\"http://x/worksheet\" Target=\"media/a.png\"/></Relationships>"
                    .into(),
            ),
        ] {
            let packed = package(&[(name, &text)]);
            assert!(read(&packed).is_err(), "{case}");
        }
    }

    #[test]
    fn fault_r10_numbers_have_15_significant_digits() {
        for (value, text) in [
            (57.699_999_999_999_996, "57.7"),
            (0.300_000_000_000_000_04, "0.3"),
            (1200.5, "1200.5"),
            (-0.05, "-0.05"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e20, "100000000000000000000"),
            (1e-7, "0.0000001"),
            (0.0, "0"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn fault_r03_cells_after_the_last_column_are_reported_at_any_distance() {
        let mut book = Workbook::new();
        let sheet = book.add_worksheet();
        sheet.write_string(0, 0, "name").unwrap();
        sheet.write_string(1, 0, "a").unwrap();
        sheet.write_string(1, 1, "next to it").unwrap();
        sheet.write_string(2, 0, "b").unwrap();
        sheet.write_string(2, 16_000, "far away").unwrap();
        sheet.write_string(3, 0, "c").unwrap();
        let sheet = read(&book.save_to_buffer().unwrap().into()).unwrap();
        let extra: Vec<_> = sheet.rows.iter().map(|row| row.extra.as_deref()).collect();
        assert_eq!(extra, [Some("next to it"), Some("far away"), None]);
    }

    #[test]
    fn numbers_and_dates_are_read_in_their_usual_format() {
        let mut book = Workbook::new();
        let sheet = book.add_worksheet();
        let day = Format::new().set_num_format("yyyy-mm-dd");
        sheet.write_string(0, 0, "value").unwrap();
        sheet.write_number(1, 0, 1200.5).unwrap();
        sheet.write_number(2, 0, 7).unwrap();
        let moment = ExcelDateTime::parse_from_str("2025-09-01").unwrap();
        sheet.write_datetime_with_format(4, 0, &moment, &day).unwrap();
        sheet.write_boolean(5, 0, true).unwrap();
        sheet.write_formula(6, 0, Formula::new("=1+1").set_result("2")).unwrap();
        let sheet = read(&book.save_to_buffer().unwrap().into()).unwrap();
        let rows: Vec<_> = sheet.rows.iter().map(|row| (row.line, texts(row).join(","))).collect();
        let expected = [(2, "1200.5"), (3, "7"), (5, "2025-09-01"), (6, "true"), (7, "2")];
        assert_eq!(rows, expected.map(|(line, text)| (line, text.to_owned())));
    }

    #[test]
    fn a_text_shared_by_many_cells_does_not_exceed_the_memory_limit() {
        let mut book = Workbook::new();
        let sheet = book.add_worksheet();
        let text = "x".repeat(30_000);
        for line in 0..3_000 {
            sheet.write_string(line, 0, &text).unwrap();
        }
        let packed: Bytes = book.save_to_buffer().unwrap().into();
        assert!(packed.len() < 1 << 20);
        assert!(read(&packed).is_err());
    }

    #[test]
    fn a_workbook_with_a_large_uncompressed_size_is_rejected() {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file("xl/media/picture.png", SimpleFileOptions::default()).unwrap();
        archive.write_all(&vec![0; 1 << 20]).unwrap();
        for name in ["_rels/.rels", "xl/_rels/workbook.xml.rels"] {
            archive.start_file(name, SimpleFileOptions::default()).unwrap();
        }
        let packed: Bytes = archive.finish().unwrap().into_inner().into();
        assert!(packed.len() < 1 << 16);
        assert!(check_size(&packed, (1 << 20) - 1).is_err() && check_size(&packed, 1 << 20).is_ok());
        assert!(read(&Bytes::from_static(b"PK\x03\x04 and nothing")).is_err());
    }

    /// Fragments of the parts of a workbook.
    const FRAGMENTS: [&str; 34] = [
        "<worksheet>",
        "</worksheet>",
        "<sheetData>",
        "</sheetData>",
        "<row>",
        "<row r=\"2\">",
        "<row r=\"1048576\">",
        "<row r=\"99999999999\">",
        "</row>",
        "<c>",
        "<c r=\"A1\">",
        "<c r=\"XFD1048576\" t=\"s\">",
        "<c r=\"A0\" t=\"n\">",
        "<c r=\"\" t=\"e\" s=\"1\">",
        "<c r=\"ZZZZZZ99999999999\" t=\"str\">",
        "<c r=\"B2\" t=\"d\" s=\"0\">",
        "<c r=\"C3\" t=\"b\">",
        "</c>",
        "<v>",
        "</v>",
        "<v>1</v>",
        "<v>-1</v>",
        "<v>1e308</v>",
        "<v>NaN</v>",
        "<v>99999999999999999999</v>",
        "<f>1+1</f>",
        "<is><t>a</t></is>",
        "<si><t>a</t></si>",
        "<dimension ref=\"A1:XFD1048576\"/>",
        "<mergeCell ref=\"A1:B\"/>",
        "<cellXfs><xf numFmtId=\"14\"/></cellXfs>",
        "&amp;",
        "&nope;",
        "2024-13-45",
    ];

    fn fragments(max: usize) -> impl proptest::strategy::Strategy<Value = String> {
        let fragments = proptest::collection::vec(proptest::sample::select(FRAGMENTS.to_vec()), 0..max);
        proptest::strategy::Strategy::prop_map(fragments, |fragments| fragments.concat())
    }

    proptest::proptest! {
        #[test]
        fn fuzz_arbitrary_parts_are_parsed_or_rejected(
            sheet in fragments(40),
            strings in fragments(10),
            styles in fragments(10),
        ) {
            let framed = format!("<worksheet><sheetData>{sheet}</sheetData></worksheet>");
            for sheet in [sheet, framed] {
                let _ = read(&package(&[
                    ("xl/worksheets/sheet1.xml", &sheet),
                    ("xl/sharedStrings.xml", &format!("<sst>{strings}</sst>")),
                    ("xl/styles.xml", &format!("<styleSheet>{styles}</styleSheet>")),
                ]));
            }
        }

        #[test]
        fn fuzz_damaged_workbooks_are_parsed_or_rejected(
            damage in proptest::collection::vec((proptest::num::usize::ANY, proptest::num::u8::ANY), 1..6),
            cut in proptest::num::usize::ANY,
        ) {
            let mut bytes = package(&[]).to_vec();
            for (index, byte) in damage {
                let index = index % bytes.len();
                bytes[index] = byte;
            }
            let _ = read(&bytes.clone().into());
            bytes.truncate(cut % bytes.len());
            let _ = read(&bytes.into());
        }

        #[test]
        fn fuzz_stored_cells_are_read_unchanged(
            rows in proptest::collection::vec(("[a-z0-9=+,.' é<&>]{0,12}", -99_999_999_999_i64..99_999_999_999, 0_u32..4), 1..8)
        ) {
            let mut book = Workbook::new();
            let sheet = book.add_worksheet();
            sheet.write_string(0, 0, "name").unwrap();
            sheet.write_string(0, 1, "value").unwrap();
            let mut expected = Vec::new();
            for (line, (text, units, places)) in (1_u32..).zip(&rows) {
                if !text.is_empty() {
                    sheet.write_string(line, 0, text).unwrap();
                }
                // The nearest number that a workbook can store.
                let typed = crate::money::format_fixed_point(*units, *places as usize);
                sheet.write_number(line, 1, typed.parse::<f64>().unwrap()).unwrap();
                expected.push(vec![Cell::Text(text.clone()), Cell::Number(typed)]);
            }
            let sheet = read(&book.save_to_buffer().unwrap().into()).unwrap();
            let read: Vec<Vec<Cell>> = sheet.rows.into_iter().map(|row| row.cells).collect();
            proptest::prop_assert_eq!(read, expected);
        }
    }
}
