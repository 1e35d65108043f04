//! Long-running tests: the server is killed, runs out of disk space and is overloaded while it writes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "progress of long tests")]

mod attacks;
mod cluster;
mod deals;
mod disk;
mod events;
mod installation;
mod kill;
mod sockets;
