//! Tests of the whole server across crates, on the selected database, and of the architecture rules.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod architecture;
mod chat;
mod community;
mod conformance;
mod connections;
mod deals;
mod fuzz;
mod hostile;
mod journeys;
mod messaging;
mod nodes;
mod notifications;
mod operations;
mod outsider;
mod page_statements;
mod prepared;
mod reference;
mod server;
mod sockets;
mod stories;
mod streams;
mod tenants;
mod websocket_protocol;
