//! The service traits.

mod bookmarks;
mod feed;
mod follows;
mod search;

pub use bookmarks::*;
pub use feed::*;
pub use follows::*;
pub use search::*;
