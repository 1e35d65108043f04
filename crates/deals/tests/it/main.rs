//! Tests of the services on a database with a foreign user table, and of the routes with mocks.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod activities;
mod board;
mod cleanup;
mod clients;
mod concurrency;
mod custom;
mod deals;
mod events;
mod exchange;
mod harness;
mod http;
mod invitations;
mod lines;
mod members;
mod merge;
mod payments;
mod plans;
mod removal;
mod reports;
mod tasks;
mod trash;
mod views;
mod visibility;
mod webhooks;
