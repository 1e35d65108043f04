//! The promises of accounts and tokens, on the database that the run is for.

mod harness;
mod http;
mod operator;
mod people;
mod sessions;
mod user_tokens;
