//! Tests of the public API, beside a foreign user table.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit;
mod changes;
mod counters;
mod files;
mod harness;
mod hosts;
mod http;
mod messages;
mod participants;
mod pins;
mod plans;
mod presence;
mod quotas;
mod races;
mod reactions;
mod reading;
mod removal;
mod requests;
mod rooms;
mod search;
mod sockets;
mod streams;
