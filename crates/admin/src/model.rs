//! What the panel shows and takes.

mod graph;
mod key;
mod list;
mod operations;
mod row;
mod table;

pub use graph::{Confirmation, Deletion, Graph, GraphTable, Outlook};
pub use key::Key;
pub use list::{Area, Filter, Found, ListQuery, PERIODS, Rows, TableCount};
pub use operations::{Activity, HealthPart, Series};
pub use row::{Cell, Field, History, NewRow, Reference, Relation, Row, RowDetail, StoredRow};
pub use table::{Count, Table};
