//! Tests of the public interface.

mod harness;
mod simulation;
mod sockets;
mod streams;
