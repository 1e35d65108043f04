//! Tests of the public API, beside a foreign user table.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod courses;
mod events;
mod groups;
mod harness;
mod http;
mod people;
mod plans;
mod posts;
