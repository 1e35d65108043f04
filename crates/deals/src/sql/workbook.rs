//! Workbooks of Excel (Office Open XML): reading the first sheet of one, and writing one whose cells are text and
//! nothing else.

use std::io::{Cursor, Read, Seek, copy, sink};

use bytes::Bytes;
use calamine::{Data, DataRef, Reader, Xlsx};
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use guildhall_kernel::Error as KernelError;
use rust_xlsxwriter::Workbook;
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;
use zip::ZipArchive;

use super::sheet::{MOST_COLUMNS, MOST_ROWS, Row, Sheet, unreadable};
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
/// How many pieces wait to be written.
const WAITING: usize = 4;

/// Is it a workbook, by what it begins with?
pub(super) fn is_workbook(bytes: &[u8]) -> bool {
    bytes.starts_with(BEGINNING)
}

fn wrong(error: impl std::fmt::Display) -> Error {
    unreadable(format!("It is no workbook: {error}."))
}

/// Unpacks all of it into nothing, as far as it may go.
fn weigh(bytes: &[u8], most: u64) -> Result<()> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(wrong)?;
    if archive.len() > MOST_FILES {
        return Err(unreadable("It is no workbook: there are too many files in it."));
    }
    let mut left = most;
    for at in 0..archive.len() {
        let file = archive.by_index(at).map_err(wrong)?;
        let size = copy(&mut file.take(left + 1), &mut sink()).map_err(wrong)?;
        if size > left {
            return Err(unreadable("There is too much in it."));
        }
        left -= size;
    }
    Ok(())
}

/// A cell as text: a whole number without a point, a day as ISO 8601 has it.
fn text(value: &DataRef<'_>) -> String {
    match value {
        DataRef::DateTime(moment) if moment.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
            let date = format!("{year:04}-{month:02}-{day:02}");
            if (hour, minute, second) == (0, 0, 0) { date } else { format!("{date} {hour:02}:{minute:02}:{second:02}") }
        }
        DataRef::DateTimeIso(iso) => iso.strip_suffix("T00:00:00").unwrap_or(iso).to_owned(),
        DataRef::Bool(yes) => yes.to_string(),
        DataRef::Error(_) | DataRef::Empty => String::new(),
        value => Data::from(value.clone()).to_string(),
    }
}

fn read_sheet<R: Read + Seek>(book: &mut Xlsx<R>, name: &str) -> Result<Sheet> {
    let mut cells = book.worksheet_cells_reader(name).map_err(wrong)?;
    let mut kept = 0;
    let mut rows: Vec<Row> = Vec::new();
    while let Some(cell) = cells.next_cell().map_err(wrong)? {
        let (line, column) = cell.get_position();
        let (line, column) = (u64::from(line) + 1, column as usize);
        let value = text(cell.get_value());
        // One far away is no reason to make room for all before it.
        if value.is_empty() || column >= MOST_COLUMNS {
            continue;
        }
        if rows.last().is_none_or(|row| row.line != line) {
            if rows.len() > MOST_ROWS {
                break;
            }
            rows.push(Row { line, cells: Vec::new() });
        }
        if let Some(row) = rows.last_mut() {
            let room = (column + 1).saturating_sub(row.cells.len()) * size_of::<String>();
            kept += value.len() + room;
            if kept > MOST_KEPT {
                return Err(unreadable("There is too much in it."));
            }
            row.cells.resize(row.cells.len().max(column + 1), String::new());
            row.cells[column] = value;
        }
    }
    let headings = if rows.is_empty() { Vec::new() } else { rows.remove(0).cells };
    Ok(Sheet { headings: headings.iter().map(|heading| heading.trim().to_owned()).collect(), rows })
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
fn write_file(mut pieces: mpsc::Receiver<Vec<Vec<String>>>) -> guildhall_kernel::Result<std::fs::File> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet_with_constant_memory().map_err(KernelError::internal)?;
    let mut line = 0;
    while let Some(rows) = pieces.blocking_recv() {
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
pub(super) async fn write(mut rows: Rows) -> Result<Table> {
    let (pieces, received) = mpsc::channel(WAITING);
    let writing = tokio::task::spawn_blocking(move || write_file(received));
    while let Some(piece) = rows.next().await {
        // Whoever writes has given up, and tells why below.
        if pieces.send(piece?).await.is_err() {
            break;
        }
    }
    drop(pieces);
    let file = writing.await.map_err(KernelError::internal)??;
    let file = tokio::fs::File::from_std(file);
    Ok(Box::pin(ReaderStream::with_capacity(file, 64 << 10).map_err(KernelError::internal)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use futures_util::stream;
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
        let back: Vec<_> = sheet.rows.into_iter().map(|row| (row.line, row.cells)).collect();
        let expected: Vec<_> = (2_u64..).zip(rest_of(&rows)).collect();
        assert_eq!(back, expected);
    }

    fn rest_of(rows: &[Vec<String>]) -> Vec<Vec<String>> {
        rows[1..].to_vec()
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
        // One far away makes no room for all before it.
        sheet.write_string(1_000_000, 16_000, "x").unwrap();
        let sheet = read(&book.save_to_buffer().unwrap().into()).unwrap();
        let rows: Vec<_> = sheet.rows.iter().map(|row| (row.line, row.cells.join(","))).collect();
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
        archive.start_file("xl/workbook.xml", SimpleFileOptions::default()).unwrap();
        archive.write_all(&vec![0; 1 << 20]).unwrap();
        let packed: Bytes = archive.finish().unwrap().into_inner().into();
        assert!(packed.len() < 1 << 16);
        assert!(weigh(&packed, (1 << 20) - 1).is_err() && weigh(&packed, 1 << 20).is_ok());
        assert!(read(&Bytes::from_static(b"PK\x03\x04 and nothing")).is_err());
    }
}
