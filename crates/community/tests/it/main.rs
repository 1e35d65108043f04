//! The promises of the community, beside a user table that is not ours.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod groups;
mod harness;
mod http;
