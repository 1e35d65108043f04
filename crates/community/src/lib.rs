#![doc = include_str!("../README.md")]

mod admin;
mod compat;
mod core;
mod courses;
mod entity;
mod error;
pub mod event;
mod events;
mod feed;
mod groups;
mod id;
mod markdown;
mod migrations;
mod moderation;
mod notifications;
mod posts;
mod removal;
mod routes;
mod settings;
mod sql;
mod state;

pub use admin::admin;
pub use core::{Host, UserTable};
pub use courses::*;
pub use entity::{
    group::Posting,
    join_request::RequestStatus,
    membership::Role,
    post::{PostCategory, Visibility},
    report::ReportStatus,
    rsvp::Attendance,
};
pub use error::{Error, Result};
pub use events::*;
pub use feed::*;
pub use groups::*;
pub use id::*;
pub use migrations::migrations;
pub use moderation::*;
pub use notifications::{CommentSummary, PostSummary};
pub use posts::*;
pub use removal::Removal;
pub use routes::{openapi, router};
pub use settings::Settings;
pub use sql::SqlCommunity;
pub use state::CommunityState;
