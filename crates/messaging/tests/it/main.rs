//! Tests of the public API, beside a foreign user table.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attachments;
mod blocks;
mod changes;
mod conversations;
mod counters;
mod groups;
mod harness;
mod http;
mod keys;
mod link_previews;
mod message_types;
mod messages;
mod people;
mod plans;
mod preferences;
mod quotas;
mod races;
mod reactions;
mod reading;
mod removal;
mod requests;
mod retention;
mod search;
mod sockets;
mod streams;
