//! Stories across crates, against a whole server on the database that the run is for; and the rules
//! that hold the architecture.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod architecture;
mod community;
mod conformance;
mod connections;
mod deals;
mod fuzz;
mod hostile;
mod operations;
mod outsider;
mod reference;
mod server;
mod stories;
mod tenants;
