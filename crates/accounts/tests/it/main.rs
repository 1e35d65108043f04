//! Integration tests of accounts and tokens, on the database that the run is configured for.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod harness;
mod http;
mod keys;
mod operator;
mod prune;
mod removal;
mod second_factor;
mod security;
mod sessions;
mod staff;
mod throttle;
mod user_tokens;
mod users;
