//! The kernel against real databases.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod db;
mod failed_commits;
mod lists;
mod outbox;
mod things;
