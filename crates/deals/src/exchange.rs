//! Imports and exports.

mod model;
mod routes;
mod service;
pub(crate) mod sql;
pub(crate) mod table;

pub use model::*;
pub(crate) use routes::routes;
pub use service::*;
pub use sql::SqlExchange;
