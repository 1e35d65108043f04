//! Reading and writing tables as text and as workbooks.

pub(crate) mod csv;
pub(crate) mod xlsx;
