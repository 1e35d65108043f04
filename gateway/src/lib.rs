//! The Guildhall server: settings, wiring, serving and the command line. It holds no rule and no
//! query; the crates that it composes do.

mod background;
mod backup;
pub mod cli;
mod connection;
mod doctor;
mod document;
mod health;
pub mod layers;
mod logging;
mod metrics;
mod server;
mod settings;
mod turns;
mod wiring;

pub use document::document;
pub use server::Server;
pub use settings::{Settings, Sources};
pub use wiring::Services;
