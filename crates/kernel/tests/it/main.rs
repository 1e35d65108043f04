//! Tests of the kernel on real databases.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod db;
mod event;
mod failed_commits;
mod lists;
mod notify;
mod outbox;
mod search;
mod soon;
mod things;
mod writes;
