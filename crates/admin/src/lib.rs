#![doc = include_str!("../README.md")]

mod error;
mod model;
mod registry;
mod service;
mod sql;
mod state;

pub use error::{Error, Result};
pub use model::{
    Activity, Area, Cell, Confirmation, Count, Deletion, Field, Filter, Found, Graph, GraphTable, HealthPart, History,
    Key, ListQuery, NewRow, Outlook, PERIODS, Reference, Relation, Row, RowDetail, Rows, Series, StoredRow, Table,
    TableCount,
};
pub use registry::Registry;
pub use service::{Health, NewColumn, Operations, Panel, TableWrites, Writes};
pub use sql::SqlPanel;
pub use state::AdminState;
