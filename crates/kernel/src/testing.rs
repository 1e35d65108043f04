//! What tests need: a database of their own, requests without a socket, and the drift check.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that cannot go on has failed")]

mod database;
mod drift;
mod http;
mod plan;

pub use database::TestDb;
pub use drift::{Table, assert_no_drift, table};
pub use http::{Answer, TestClient, fake_directory, signed_in_as};
pub use plan::{assert_plans, explain, plan};
