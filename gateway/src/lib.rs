//! The Guildhall server: settings, wiring, serving and the command line. Business rules and queries are in the crates
//! that it composes.

mod admin;
mod background;
mod backup;
mod board_streams;
pub mod cli;
mod concurrency;
mod connection;
mod demo;
mod doctor;
mod document;
mod ended_sessions;
mod group_streams;
mod health;
mod later;
pub mod layers;
mod logging;
mod metrics;
mod mounts;
mod notification_sources;
mod people_search;
mod push_client;
mod reference;
mod server;
mod settings;
mod wiring;

pub use document::document;
pub use server::Server;
pub use settings::{Settings, Sources};
pub use wiring::Services;
