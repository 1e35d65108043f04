//! The ledger: payments, refunds and reversals.

mod model;
pub(crate) mod routes;
mod service;
pub(crate) mod sql;
pub(crate) mod sums;

pub use model::*;
pub(crate) use routes::routes;
pub use service::*;
pub use sql::SqlLedger;
