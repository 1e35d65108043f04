//! The ledger: payments, refunds and reversals.

mod doctor;
mod model;
pub(crate) mod routes;
mod service;
pub(crate) mod sql;

pub use model::*;
pub(crate) use routes::routes;
pub use service::*;
pub use sql::SqlLedger;
