//! Tests of the panel's service on tables of their own, on the database that the run is configured for.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod deletions;
mod harness;
mod lists;
mod writes;
