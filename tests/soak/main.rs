//! What takes long: the server is killed, starved and attacked while it writes, and must keep its word.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "whoever waits wants to see that it goes on")]

mod attacks;
mod deals;
mod disk;
mod installation;
mod kill;
