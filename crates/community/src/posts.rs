//! Posts, and what belongs to them.

mod model;
pub(crate) mod routes;
mod service;
pub(crate) mod sql;

pub use model::*;
pub(crate) use routes::routes;
pub use service::*;
pub use sql::SqlPosts;
