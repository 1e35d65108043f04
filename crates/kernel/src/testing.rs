//! Test support: a database for each test, requests without a socket, and schema checks.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a panic fails the test")]

mod clock;
mod database;
mod drift;
mod http;
mod plan;
mod references;
mod tables;

pub use clock::TestClock;
pub use database::TestDb;
pub use drift::{Table, assert_no_drift, table};
pub use http::{Answer, TestClient, fake_directory, signed_in_as};
pub use plan::{assert_plans, assert_reads_by_id, explain, plan};
pub use references::assert_user_references;
pub use tables::{PEOPLE, assert_tables_described, assert_versioned, migrations_with_people};
