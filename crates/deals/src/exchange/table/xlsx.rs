//! Excel workbooks (Office Open XML): reading the first sheet, and writing workbooks whose cells are all text.

mod limits;
#[cfg(test)]
mod package;
mod read;
mod write;

pub(crate) use self::{
    read::{is_workbook, read},
    write::{Rows, write},
};
