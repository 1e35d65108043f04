#![doc = include_str!("../README.md")]

mod admin;
mod core;
mod entity;
mod error;
pub mod event;
mod id;
mod migrations;
mod model;
mod notifications;
mod removal;
mod routes;
mod search;
mod service;
mod settings;
mod sql;
mod state;
mod streams;

pub use admin::admin;
pub use core::{Host, PeopleSearch};
pub use entity::{conversation::ConversationKind, member::MemberState};
pub use error::{Error, Result};
pub use id::*;
pub use migrations::migrations;
pub use model::*;
pub use removal::Removal;
pub use routes::{openapi, router};
pub use service::*;
pub use settings::Settings;
pub use sql::SqlMessaging;
pub use state::MessagingState;
pub use streams::MessagingStreams;
