//! Tests of the adapters against real or scripted servers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod nats;
mod s3;
mod smtp;
