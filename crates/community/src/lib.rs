#![doc = include_str!("../README.md")]

mod entity;
mod error;
mod migrations;
mod model;
mod picture;
mod removal;
mod routes;
mod service;
mod settings;
mod sql;

pub use error::{Error, Result};
pub use migrations::migrations;
pub use model::{Group, GroupFilter, GroupId, NewGroup};
pub use removal::Removal;
pub use routes::{CommunityState, openapi, router};
pub use service::Community;
pub use settings::Settings;
pub use sql::SqlCommunity;

#[cfg(feature = "testing")]
pub use service::MockCommunity;
