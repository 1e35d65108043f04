//! Writing CSV in which no cell is a formula.

use bytes::Bytes;
use guildhall_kernel::{Error as KernelError, csv::escape};

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
