//! The promises of accounts and tokens, on the database that the run is for.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;
mod http;
mod operator;
mod people;
mod sessions;
mod user_tokens;
