//! The types.

mod feed;
mod follows;
mod search;

pub use feed::*;
pub use follows::*;
pub use search::*;
