//! Tests of the public API, beside a foreign user table.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod delivery;
mod emails;
mod frames;
mod grouping;
mod harness;
mod http;
mod notifications;
mod plans;
mod preferences;
mod pushes;
mod removal;
mod retention;
mod subscriptions;
mod unsubscribing;
