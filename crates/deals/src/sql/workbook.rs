//! Workbooks of Excel (Office Open XML): reading the first sheet of one, and writing one whose cells are text and
//! nothing else.

use std::io::{self, Cursor, Read, Seek, copy, sink};

use bytes::Bytes;
use calamine::{Data, DataRef, Reader as _, Xlsx};
use futures_util::{TryStreamExt, stream::BoxStream};
use guildhall_kernel::{Error as KernelError, background};
use quick_xml::{Reader, events::Event};
use rust_xlsxwriter::Workbook;
use tokio_util::io::ReaderStream;
use zip::ZipArchive;

use super::sheet::{Cell, MOST_CELLS, MOST_COLUMNS, MOST_ROWS, Row, Sheet, too_many_cells, unreadable};
use crate::{Error, Result, Table};

/// What every file of the kind begins with.
const BEGINNING: &[u8] = b"PK\x03\x04";
/// How much there may be in a workbook, unpacked: what is packed in a few kilobytes can fill a disk.
const MOST_BYTES: u64 = 256 << 20;
/// How much of it is kept while it is read: a text that is stored once may stand in every cell.
const MOST_KEPT: usize = 64 << 20;
/// How many rows a sheet has at most.
const MOST_LINES: u32 = 1 << 20;
/// How many files it may be made up of.
const MOST_FILES: usize = 1000;
/// Where the parts are that are read whole. A package could have them elsewhere, but no program writes it so.
const WORKBOOK: &str = "xl/workbook.xml";
const SHARED_STRINGS: &str = "xl/sharedstrings.xml";
/// How large the texts that cells share may be, unpacked, and how many elements they may have.
const STRINGS: PartLimit = PartLimit { bytes: 32 << 20, elements: 2_000_000 };
/// The same for sheets, which are not kept.
const SHEET: PartLimit = PartLimit { bytes: MOST_BYTES, elements: u64::MAX };
/// The same for everything else.
const OTHER: PartLimit = PartLimit { bytes: 4 << 20, elements: 100_000 };
/// The longest tag, in bytes; the reader keeps it whole.
const LONGEST_TAG: usize = 64 << 10;
/// The longest text between two tags: a cell has 32,767 characters at most.
const LONGEST_RUN: usize = 1 << 20;

/// How much one part may hold.
#[derive(Clone, Copy)]
struct PartLimit {
    bytes: u64,
    elements: u64,
}

/// Looks at XML as it goes by, for what would take memory when it is read. It understands just enough to see where tags
/// begin and end; comments and the like, which could hide anything, are refused.
#[derive(Default)]
struct XmlMeter {
    place: XmlPlace,
    /// How long the tag or text is.
    run: usize,
    elements: u64,
    /// The numbers that stand in quotes, the largest of each tag: some are taken for sizes.
    number: u64,
    largest: u64,
    /// What the tag is called, without its prefix.
    name: String,
    /// The last byte of an attribute's name.
    last: u8,
    /// How many letters and digits the name of a cell has so far.
    letters: usize,
    digits: usize,
}

#[derive(Default, PartialEq, Eq)]
enum XmlPlace {
    #[default]
    Text,
    /// Behind a `<`.
    Opened,
    Name,
    Tag,
    /// In an attribute's value, which ends with this.
    Quoted(u8),
    Declaration,
}

impl XmlMeter {
    fn step(&mut self, byte: u8) -> bool {
        self.run += 1;
        self.place = match (&self.place, byte) {
            (XmlPlace::Text, b'<') => {
                self.run = 0;
                XmlPlace::Opened
            }
            (XmlPlace::Text, _) => return self.run <= LONGEST_RUN,
            (XmlPlace::Opened, b'!') => return false,
            (XmlPlace::Opened, b'?') => XmlPlace::Declaration,
            (XmlPlace::Opened, b'/') | (XmlPlace::Name, b' ' | b'\t' | b'\r' | b'\n' | b'/') => XmlPlace::Tag,
            (XmlPlace::Opened, _) => {
                self.elements += 1;
                self.name.clear();
                self.name.push(char::from(byte));
                XmlPlace::Name
            }
            (XmlPlace::Name | XmlPlace::Tag | XmlPlace::Declaration, b'>') => {
                self.run = 0;
                XmlPlace::Text
            }
            (XmlPlace::Name, b':') => {
                self.name.clear();
                XmlPlace::Name
            }
            (XmlPlace::Name, _) => {
                self.name.push(char::from(byte));
                return self.run <= LONGEST_TAG;
            }
            (XmlPlace::Tag, quote @ (b'"' | b'\'')) => {
                (self.number, self.letters, self.digits) = (0, 0, 0);
                XmlPlace::Quoted(quote)
            }
            (XmlPlace::Tag, b'=' | b' ' | b'\t' | b'\r' | b'\n') => return self.run <= LONGEST_TAG,
            (XmlPlace::Tag, _) => {
                self.last = byte;
                return self.run <= LONGEST_TAG;
            }
            (XmlPlace::Quoted(quote), _) if byte == *quote => {
                self.largest = self.largest.max(self.number);
                XmlPlace::Tag
            }
            (XmlPlace::Quoted(_), _) => {
                if byte.is_ascii_digit() {
                    self.number = self.number.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
                }
                return self.run <= LONGEST_TAG && self.is_cell_within_a_sheet(byte);
            }
            _ => return self.run <= LONGEST_TAG,
        };
        true
    }

    /// No cell is called what is larger than any sheet: the reader would take it for another.
    fn is_cell_within_a_sheet(&mut self, byte: u8) -> bool {
        // `r` and `ref`, which nothing else in these ends like.
        let names_cells = matches!(self.name.as_str(), "row" | "c" | "dimension" | "mergeCell" | "f")
            && matches!(self.last, b'r' | b'f');
        match byte {
            b'0'..=b'9' => self.digits += 1,
            b':' => (self.letters, self.digits) = (0, 0),
            _ => self.letters += 1,
        }
        !names_cells || (self.letters <= 3 && self.digits <= 7)
    }
}

impl io::Write for XmlMeter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.iter().all(|byte| self.step(*byte)) {
            Ok(bytes.len())
        } else {
            Err(io::Error::other("there is something in it that no program writes"))
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Is it a workbook, by what it begins with?
pub(super) fn is_workbook(bytes: &[u8]) -> bool {
    bytes.starts_with(BEGINNING)
}

fn wrong(error: impl std::fmt::Display) -> Error {
    unreadable(format!("It is no workbook: {error}."))
}

/// Unpacks all of it into nothing, as far as it may go, and looks at what would be kept when it is read.
fn weigh(bytes: &[u8], most: u64) -> Result<()> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(wrong)?;
    if archive.len() > MOST_FILES {
        return Err(unreadable("It is no workbook: there are too many files in it."));
    }
    let mut left = most;
    for at in 0..archive.len() {
        let file = archive.by_index(at).map_err(wrong)?;
        let name = file.name().map_err(wrong)?.replace('\\', "/").to_ascii_lowercase();
        let ending = name.rsplit_once('.').map(|(_, ending)| ending);
        let is_xml = matches!(ending, Some("xml" | "rels"));
        let limit = match name.trim_start_matches('/') {
            SHARED_STRINGS => STRINGS,
            name if name.starts_with("xl/worksheets/") && ending == Some("xml") => SHEET,
            _ if is_xml || ending == Some("bin") => OTHER,
            // Pictures and the like, which are not read.
            _ => SHEET,
        };
        let most = limit.bytes.min(left);
        let mut meter = XmlMeter::default();
        let mut file = file.take(most + 1);
        let size = if is_xml { copy(&mut file, &mut meter) } else { copy(&mut file, &mut sink()) }.map_err(wrong)?;
        if size > most || meter.elements > limit.elements {
            return Err(unreadable("There is too much in it."));
        }
        // The reader makes room for as many texts as are announced.
        if limit.elements != SHEET.elements && name.ends_with(SHARED_STRINGS) && meter.largest > STRINGS.elements {
            return Err(unreadable("There is too much in it."));
        }
        left -= size;
    }
    check_place(&mut archive)
}

/// Refuses a package whose parts are not where programs put them, for what is elsewhere was not looked at: the workbook,
/// and with it what is read beside it; its sheets, which are XML by their names.
fn check_place<R: Read + Seek>(archive: &mut ZipArchive<R>) -> Result<()> {
    let elsewhere = || unreadable("It is no workbook: its parts are not where they belong.");
    for name in ["_rels/.rels", "xl/_rels/workbook.xml.rels"] {
        let mut text = String::new();
        let mut file = archive.by_name(name).map_err(|_| elsewhere())?;
        file.read_to_string(&mut text).map_err(wrong)?;
        let mut reader = Reader::from_str(&text);
        loop {
            match reader.read_event().map_err(wrong)? {
                Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == "Relationship" => {
                    let value =
                        |name: &str| tag.try_get_attribute(name).ok().flatten().map(|value| value.value.into_owned());
                    let target = value("Target").unwrap_or_default();
                    let is_in_place = if name == "_rels/.rels" {
                        let is_document =
                            value("Type").is_some_and(|kind| kind.ends_with("/relationships/officeDocument"));
                        !is_document || target.strip_prefix('/').unwrap_or(&target) == WORKBOOK
                    } else {
                        let is_read = value("TargetMode").is_none_or(|mode| mode != "External");
                        let ending = target.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
                        !is_read || matches!(ending.as_deref(), Some("xml" | "bin"))
                    };
                    if !is_in_place {
                        return Err(elsewhere());
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
    }
    Ok(())
}

/// A number as Excel shows it: with fifteen digits, of which the last ones of its binary form are none.
fn number(value: f64) -> String {
    let rounded = format!("{value:.14e}").parse().unwrap_or(value);
    // Plain digits, whatever its size.
    format!("{rounded}")
}

/// A cell: a whole number without a point, a day as ISO 8601 has it.
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
        DataRef::Bool(yes) => Cell::Text(yes.to_string()),
        DataRef::Empty => Cell::Text(String::new()),
        value => Cell::Text(Data::from(value.clone()).to_string()),
    }
}

/// A sheet that is being read.
#[derive(Default)]
struct Reading {
    headings: Option<Vec<String>>,
    rows: Vec<Row>,
    /// The row that has begun, and its line.
    row: Vec<Cell>,
    line: u64,
    /// How many cells there were, and what all of them take, in bytes.
    cells: usize,
    kept: usize,
}

impl Reading {
    fn columns(&self) -> usize {
        self.headings.as_ref().map_or(0, Vec::len)
    }

    fn add(&mut self, line: u64, column: usize, cell: Cell) -> Result<()> {
        if line != self.line {
            self.end_row();
            self.line = line;
        }
        let is_far = column >= MOST_COLUMNS;
        if is_far && self.headings.is_none() {
            return Err(unreadable(format!("A table has at most {MOST_COLUMNS} columns.")));
        }
        // Where it has no column it is told, which is no reason to make room for all before it.
        let place = if is_far { self.row.len().max(self.columns()) } else { column };
        let room = (place + 1).saturating_sub(self.row.len());
        self.cells += room;
        self.kept += cell.as_str().len() + room * size_of::<Cell>();
        if self.cells > MOST_CELLS {
            return Err(too_many_cells());
        }
        if self.kept > MOST_KEPT {
            return Err(unreadable("There is too much in it."));
        }
        self.row.resize(self.row.len().max(place + 1), Cell::Text(String::new()));
        self.row[place] = cell;
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
    let mut cells = book.worksheet_cells_reader(name).map_err(wrong)?;
    let mut reading = Reading::default();
    while let Some(cell) = cells.next_cell().map_err(wrong)? {
        let (line, column) = cell.get_position();
        let value = read_cell(cell.get_value());
        if value.as_str().is_empty() {
            continue;
        }
        reading.add(u64::from(line) + 1, column as usize, value)?;
        if reading.rows.len() > MOST_ROWS {
            break;
        }
    }
    reading.end_row();
    Ok(Sheet { headings: reading.headings.unwrap_or_default(), rows: reading.rows })
}

/// Reads the first sheet of a workbook.
pub(super) fn read(bytes: &Bytes) -> Result<Sheet> {
    weigh(bytes, MOST_BYTES)?;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes.clone())).map_err(wrong)?;
    let first = book.sheet_names().first().cloned().ok_or_else(|| unreadable("There is no sheet in it."))?;
    read_sheet(&mut book, &first)
}

/// Rows, piece by piece.
pub(super) type Rows = BoxStream<'static, guildhall_kernel::Result<Vec<Vec<String>>>>;

/// Writes rows into a file that nobody sees.
async fn write_file(mut pieces: Rows) -> guildhall_kernel::Result<std::fs::File> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet_with_constant_memory().map_err(KernelError::internal)?;
    let mut line = 0;
    while let Some(rows) = pieces.try_next().await? {
        for row in rows {
            if line == MOST_LINES {
                let message = format!("A workbook has at most {MOST_LINES} rows: narrow the list, or take CSV.");
                return Err(KernelError::field("format", message));
            }
            for (column, cell) in (0_u16..).zip(&row) {
                if !cell.is_empty() {
                    // Always as text: nothing in it is ever a formula.
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

/// Rows as a workbook. It is written to the disk, since its beginning tells what its end holds; what it takes of the
/// memory does not grow with it.
pub(super) async fn write(rows: Rows) -> Result<Table> {
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
    async fn what_is_written_is_text_and_comes_back_as_it_was() {
        let rows = vec![vec!["a", "b"], vec!["=1+1", "'x"], vec!["", "-5.00"], vec!["ü", "1e3"]];
        let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.into_iter().map(str::to_owned).collect()).collect();
        let (first, rest) = rows.split_at(2);
        let pieces: Vec<guildhall_kernel::Result<_>> = vec![Ok(first.to_vec()), Ok(rest.to_vec())];
        let written = bytes(write(stream::iter(pieces).boxed()).await.unwrap()).await;
        assert!(is_workbook(&written));
        let sheet = read(&written).unwrap();
        assert_eq!(sheet.headings, ["a", "b"]);
        let back: Vec<_> = sheet.rows.iter().map(|row| (row.line, texts(row))).collect();
        let expected: Vec<_> = (2_u64..).zip(rest_of(&rows)).collect();
        assert_eq!(back, expected);
    }

    fn rest_of(rows: &[Vec<String>]) -> Vec<Vec<String>> {
        rows[1..].to_vec()
    }

    fn texts(row: &Row) -> Vec<String> {
        row.cells.iter().map(|cell| cell.as_str().to_owned()).collect()
    }

    /// A package with these parts beside those that every workbook has.
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
        let of_book = "<Relationships><Relationship Id=\"r1\" Type=\"http://x/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
             </Relationships>";
        let root = relationship("xl/workbook.xml");
        let usual = [
            ("_rels/.rels", root.as_str()),
            ("xl/workbook.xml", book),
            ("xl/_rels/workbook.xml.rels", of_book),
            ("xl/worksheets/sheet1.xml", sheet),
        ];
        let others = usual.iter().filter(|(name, _)| parts.iter().all(|(other, _)| other != name));
        for (name, text) in others.chain(parts) {
            archive.start_file(*name, SimpleFileOptions::default()).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        archive.finish().unwrap().into_inner().into()
    }

    #[test]
    fn fault_2_what_would_take_much_memory_is_refused_before_it_is_read() {
        assert_eq!(read(&package(&[])).unwrap().rows.len(), 1, "such a package is read");
        let strings = |text: String| format!("<sst>{text}</sst>");
        let elsewhere = "<Relationships><Relationship Id=\"r1\" \
             Type=\"http://x/relationships/officeDocument\" Target=\"xl/worksheets/book.xml\"/></Relationships>";
        for (what, name, text) in [
            ("many texts", "xl/sharedStrings.xml", strings("<si/>".repeat(2_000_001))),
            ("many texts by another name", "XL\\SharedStrings.xml", strings("<si/>".repeat(2_000_001))),
            ("long texts", "xl/sharedStrings.xml", strings("<si><t>aaaaaaaaaaaaaaaaaaaaaa</t></si>".repeat(1_000_000))),
            ("texts that are only announced", "xl/sharedStrings.xml", "<sst uniqueCount=\"4000000000\"/>".into()),
            ("more than all numbers", "xl/sharedStrings.xml", "<sst uniqueCount='99999999999999999999999'/>".into()),
            ("sheets", "xl/workbook.xml", "<sheet name=\"a\" id=\"r1\"/>".repeat(100_001)),
            ("styles", "xl/styles.xml", "<xf/>".repeat(100_001)),
            ("a long tag", "xl/worksheets/sheet1.xml", format!("<c r=\"{}\"/>", "<".repeat(100_000))),
            ("a long text", "xl/worksheets/sheet1.xml", format!("<v>{}</v>", "x".repeat(2 << 20))),
            ("a comment", "xl/worksheets/sheet1.xml", "<worksheet><!-- x --></worksheet>".into()),
            ("a cell of no sheet", "xl/worksheets/sheet1.xml", "<row r=\"4294967297\">".into()),
            ("a column of no sheet", "xl/worksheets/sheet1.xml", "<x:c s = '1' r = 'A1:ZZZZ1'>".into()),
            ("a workbook elsewhere", "_rels/.rels", elsewhere.into()),
            (
                "a sheet by a name of which nothing is looked at",
                "xl/_rels/workbook.xml.rels",
                "<Relationships><Relationship Id=\"r1\" Type=\"http://x/worksheet\" Target=\"media/a.png\"/></Relationships>"
                    .into(),
            ),
        ] {
            let packed = package(&[(name, &text)]);
            assert!(read(&packed).is_err(), "{what}");
        }
    }

    #[test]
    fn fault_r10_numbers_have_fifteen_digits() {
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
    fn fault_r03_cells_without_a_column_are_told_however_far_away() {
        let mut book = Workbook::new();
        let sheet = book.add_worksheet();
        sheet.write_string(0, 0, "name").unwrap();
        sheet.write_string(1, 0, "a").unwrap();
        sheet.write_string(1, 1, "next to it").unwrap();
        sheet.write_string(2, 0, "b").unwrap();
        sheet.write_string(2, 16_000, "far away").unwrap();
        sheet.write_string(3, 0, "c").unwrap();
        let sheet = read(&book.save_to_buffer().unwrap().into()).unwrap();
        let beyond: Vec<_> = sheet.rows.iter().map(|row| row.beyond.as_deref()).collect();
        assert_eq!(beyond, [Some("next to it"), Some("far away"), None]);
    }

    #[test]
    fn numbers_and_days_are_read_as_people_write_them() {
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
    fn a_text_that_stands_in_every_cell_is_not_kept_in_every_cell() {
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
    fn what_unpacks_to_more_than_anybody_needs_is_refused() {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        archive.start_file("xl/media/picture.png", SimpleFileOptions::default()).unwrap();
        archive.write_all(&vec![0; 1 << 20]).unwrap();
        for name in ["_rels/.rels", "xl/_rels/workbook.xml.rels"] {
            archive.start_file(name, SimpleFileOptions::default()).unwrap();
        }
        let packed: Bytes = archive.finish().unwrap().into_inner().into();
        assert!(packed.len() < 1 << 16);
        assert!(weigh(&packed, (1 << 20) - 1).is_err() && weigh(&packed, 1 << 20).is_ok());
        assert!(read(&Bytes::from_static(b"PK\x03\x04 and nothing")).is_err());
    }

    /// What the parts of a workbook are pieced together of.
    const PIECES: [&str; 34] = [
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

    fn pieces(most: usize) -> impl proptest::strategy::Strategy<Value = String> {
        let pieces = proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 0..most);
        proptest::strategy::Strategy::prop_map(pieces, |pieces| pieces.concat())
    }

    proptest::proptest! {
        #[test]
        fn fuzz_any_parts_are_a_workbook_or_refused(sheet in pieces(40), strings in pieces(10), styles in pieces(10)) {
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
        fn fuzz_any_damage_leaves_a_workbook_or_a_refusal(
            damage in proptest::collection::vec((proptest::num::usize::ANY, proptest::num::u8::ANY), 1..6),
            cut in proptest::num::usize::ANY,
        ) {
            let mut bytes = package(&[]).to_vec();
            for (at, byte) in damage {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            let _ = read(&bytes.clone().into());
            bytes.truncate(cut % bytes.len());
            let _ = read(&bytes.into());
        }

        #[test]
        fn fuzz_what_a_spreadsheet_has_stored_is_read_as_it_was(
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
                // The nearest number that a spreadsheet can hold.
                let typed = crate::money::write_fixed_point(*units, *places as usize);
                sheet.write_number(line, 1, typed.parse::<f64>().unwrap()).unwrap();
                expected.push(vec![Cell::Text(text.clone()), Cell::Number(typed)]);
            }
            let sheet = read(&book.save_to_buffer().unwrap().into()).unwrap();
            let read: Vec<Vec<Cell>> = sheet.rows.into_iter().map(|row| row.cells).collect();
            proptest::prop_assert_eq!(read, expected);
        }
    }
}
