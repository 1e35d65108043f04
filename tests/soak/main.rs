//! What takes long: the server is killed while it writes, again and again, and must have kept its word.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "whoever waits wants to see that it goes on")]

mod deals;
mod installation;
mod kill;
