//! Saved views of lists.

mod model;
mod routes;
mod service;
mod sql;

pub use model::*;
pub(crate) use routes::routes;
pub use service::*;
pub use sql::SqlSavedViews;
