//! The promises of the community, beside a user table that is not ours.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod courses;
mod events;
mod groups;
mod harness;
mod http;
mod people;
mod plans;
mod posts;
