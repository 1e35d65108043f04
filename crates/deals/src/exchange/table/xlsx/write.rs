//! Writing workbooks whose cells are all text.

use std::io::Seek;

use futures_util::{TryStreamExt, stream::BoxStream};
use guildhall_kernel::{Error as KernelError, background};
use rust_xlsxwriter::Workbook;
use tokio_util::io::ReaderStream;

use crate::{Result, Table};

/// The maximum number of rows of a sheet, set by the format.
const MAX_SHEET_ROWS: u32 = 1 << 20;

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

/// Writes rows as a workbook. It goes through a temporary file, because its beginning depends on its end, so memory
/// does not grow with the number of rows.
pub(crate) async fn write(rows: Rows) -> Result<Table> {
    let file = tokio::fs::File::from_std(background::run_blocking(write_file(rows)).await??);
    Ok(Box::pin(ReaderStream::with_capacity(file, 64 << 10).map_err(KernelError::internal)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::{StreamExt, stream};

    use super::*;
    use crate::exchange::table::{
        sheet::Row,
        xlsx::{is_workbook, read},
    };

    async fn bytes(table: Table) -> Bytes {
        table.try_collect::<Vec<Bytes>>().await.unwrap().concat().into()
    }

    fn texts(row: &Row) -> Vec<String> {
        row.cells.iter().map(|cell| cell.as_str().to_owned()).collect()
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
}
