//! Tests of the public interface.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;
mod simulation;
mod sockets;
mod streams;
