#![doc = include_str!("../README.md")]

mod admin;
mod audit;
mod core;
mod entity;
mod error;
pub mod event;
mod id;
mod migrations;
mod model;
mod removal;
mod routes;
mod service;
mod settings;
mod sql;
mod state;
mod streams;

pub use admin::admin;
pub use audit::{ExportEvent, ExportHeader, FORMAT, InvalidExport, VerifiedExport, verify_export};
pub use core::{ActiveUsers, Host};
pub use entity::{
    join_request::RequestStatus,
    message::MessageType,
    participant::{ParticipantState, Role},
};
pub use error::{Error, Result};
pub use id::*;
pub use migrations::migrations;
pub use model::*;
pub use removal::Removal;
pub use routes::{openapi, router, sockets, sockets_openapi};
pub use service::*;
pub use settings::Settings;
pub use sql::SqlChat;
pub use state::ChatState;
pub use streams::ChatStreams;
