#![doc = include_str!("../README.md")]

mod admin;
mod core;
mod delivery;
mod entity;
mod error;
mod kind;
mod migrations;
mod model;
pub mod push;
mod removal;
mod routes;
mod service;
mod source;
mod sql;
mod state;
mod streams;

pub use admin::admin;
pub use core::Host;
pub use delivery::{DueMessages, Notifier, Pushes, Retention};
pub use entity::settings::Digest;
pub use error::{Error, Result};
pub use kind::{Channel, NotificationKind};
pub use migrations::migrations;
pub use model::*;
pub use removal::Removal;
pub use routes::{openapi, router};
pub use service::*;
pub use source::{NewNotification, Source, Target};
pub use sql::SqlNotifications;
pub use state::NotificationsState;
pub use streams::NotificationStreams;
