//! Tests of the public interface.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod cluster;
mod endings;
mod erasure;
mod failures;
mod harness;
mod keys;
mod simulation;
mod sockets;
mod streams;
