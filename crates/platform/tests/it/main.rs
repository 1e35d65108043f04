//! The adapters against servers that speak the protocol.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod s3;
mod smtp;
