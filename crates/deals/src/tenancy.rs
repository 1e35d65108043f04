//! Organizations, their members, roles and teams.

mod model;
mod routes;
mod service;
pub(crate) mod sql;

pub use model::*;
pub(crate) use routes::routes;
pub use service::*;
pub use sql::SqlTenancy;
pub use sql::{
    cleanup::{CleanupRefusal, OrganizationSelector},
    removal::Removal,
};
