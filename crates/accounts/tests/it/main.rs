//! The promises of accounts and tokens, on the database that the run is for.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;
mod http;
mod keys;
mod leaving;
mod operator;
mod people;
mod prune;
mod second_factor;
mod security;
mod sessions;
mod staff;
mod throttle;
mod user_tokens;
