//! Integration tests of accounts and tokens, on the database that the run is configured for.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod accounts;
mod audit;
mod credentials;
mod email_addresses;
mod first_start;
mod harness;
mod http;
mod keys;
mod operator;
mod passwords;
mod people;
mod pictures;
mod prune;
mod rechecks;
mod removals;
mod second_factors;
mod sessions;
mod staff;
mod throttle;
mod tokens;
mod user_tokens;
