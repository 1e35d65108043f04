#![doc = include_str!("../README.md")]

extern crate self as guildhall_kernel;

mod cursor;
pub mod db;
pub mod error;
mod etag;
mod extract;
mod id;
pub mod identity;
mod page;
mod slice;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
mod time;
mod url;

pub use db::Db;
pub use error::{Error, FieldErrors, Kind, Problem, Result};
pub use etag::{ETag, IfMatch, Tagged};
pub use extract::{Json, Path, Query};
pub use identity::{Auth, Authenticate, Caller, Credentials, Directory, Person, Roles, UserId};
pub use page::{Ordering, Page, PageParams, PageQuery};
pub use slice::{Keyed, Slice, SliceParams, SliceQuery};
pub use time::{Clock, Timestamp};
pub use url::PublicUrl;

#[doc(hidden)]
pub mod __private {
    pub use sea_orm;
    pub use serde;
    pub use utoipa;
}

/// The tables of the host that a domain's foreign keys point at.
///
/// A domain crate never guesses the user table: whoever mounts it says which one it is, and the
/// migrations reference that one. Its key is a 64-bit integer column called `id`.
#[derive(Clone, Copy, Debug)]
pub struct HostTables {
    /// Name of the user table.
    pub users: &'static str,
}
