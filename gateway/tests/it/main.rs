//! Tests of the `guildhall` binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod commands;
mod demo;
mod maintenance;
mod serving;
mod terminal;
mod verify_room;
