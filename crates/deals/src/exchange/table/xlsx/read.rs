//! Reading the first sheet of a workbook.

use std::io::{Cursor, Read, Seek};

use bytes::Bytes;
use calamine::{Data, DataRef, Reader as _, Xlsx};

use super::limits::{MAX_BYTES, check_size, invalid_workbook, too_large};
use crate::{
    Result,
    exchange::table::sheet::{Cell, MAX_CELLS, MAX_COLUMNS, MAX_ROWS, Row, Sheet, invalid_file, too_many_cells},
};

/// The first bytes of every ZIP archive.
const SIGNATURE: &[u8] = b"PK\x03\x04";
/// The maximum size of the cells in memory: a text that is stored once may be shared by every cell.
const MAX_MEMORY: usize = 64 << 20;

/// Whether a file is a workbook, by its first bytes.
pub(crate) fn is_workbook(bytes: &[u8]) -> bool {
    bytes.starts_with(SIGNATURE)
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

#[cfg(test)]
mod tests {
    use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook};

    use super::*;
    use crate::exchange::table::xlsx::package::package;

    fn texts(row: &Row) -> Vec<String> {
        row.cells.iter().map(|cell| cell.as_str().to_owned()).collect()
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
            rows in proptest::collection::vec(
                ("[a-z0-9=+,.' é<&>]{0,12}", -99_999_999_999_i64..99_999_999_999, 0_u32..4),
                1..8,
            ),
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
