//! The promises of organizations, clients, deals and payments, beside a user table that is not ours.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod board;
mod cleanup;
mod clients;
mod crossing;
mod custom;
mod deals;
mod exchange;
mod harness;
mod http;
mod invitations;
mod lines;
mod members;
mod payments;
mod plans;
mod removal;
mod reports;
mod trash;
mod webhooks;
mod work;
