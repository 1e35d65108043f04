//! Tables as text: reading the usual variants of CSV, and writing CSV in which no cell is a formula.

mod dialect;
mod read;
mod write;

pub(crate) use self::{read::read, write::write};
