#![doc = include_str!("../README.md")]

extern crate self as guildhall_kernel;

pub mod admin;
pub mod audit;
pub mod background;
pub mod cipher;
pub mod csv;
mod cursor;
mod cursor_page;
pub mod db;
pub mod doctor;
mod entity;
pub mod error;
mod etag;
pub mod event;
mod extract;
pub mod gate;
pub mod http;
pub mod hyperlink;
mod id;
pub mod idempotency;
pub mod identity;
pub mod job;
mod limiter;
pub mod link_preview;
mod links;
pub mod mail;
mod migrations;
pub mod openapi;
mod origin;
pub mod outbox;
mod page;
pub mod quota;
mod removal;
pub mod search;
pub mod secret;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
mod time;
mod url;

pub use cursor_page::{CursorPage, CursorParams, CursorQuery, Keyed, Window};
pub use db::Db;
pub use error::{Error, FieldErrors, Kind, Problem, Result};
pub use etag::{ETag, IfMatch, Tagged, conditional};
pub use extract::{Json, Path, Query, not_null, nul, present, text_or_null};
pub use gate::{Gate, GateLimits};
pub use identity::{Auth, Authenticate, Caller, Credentials, Directory, Person, Roles, SessionId, UserId, UserTokenId};
pub use limiter::KeyedLimiter;
pub use migrations::migrations;
pub use origin::{InvalidNetwork, Origin, TrustedProxies};
pub use outbox::Outbox;
pub use page::{Ordering, Page, PageParams, PageQuery, PageTemplate, count_up_to};
pub use quota::Quota;
pub use removal::{AccountCleanup, Blocker, UserRemoval};
pub use time::{Clock, Timestamp};
pub use url::PublicUrl;

#[doc(hidden)]
pub mod __private {
    pub use garde;
    pub use sea_orm;
    pub use serde;
    pub use utoipa;
}

/// The tables of the host that a domain's foreign keys point at.
///
/// A domain crate does not assume a user table: the host names it, and the migrations reference it.
/// Its primary key is a 64-bit integer column named `id`.
#[derive(Clone, Copy, Debug)]
pub struct HostTables {
    /// Name of the user table.
    pub users: &'static str,
}
