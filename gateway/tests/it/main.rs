//! The program itself, as somebody at a terminal meets it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod commands;
mod serving;
mod terminal;
mod upkeep;
