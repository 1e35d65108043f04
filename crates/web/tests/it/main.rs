//! Tests of the pages over HTTP, with the real services, on the database that the run is configured for.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod account;
mod admin;
mod assets;
mod browser;
mod catalogue;
mod courses;
mod crawl;
mod deals;
mod events;
mod groups;
mod harness;
mod markup;
mod messages;
mod moderation;
mod notifications;
mod people;
mod posts;
mod rooms;
mod session;
mod setup;
mod sign_in;
