//! The types.

mod moderation;
mod reports;

pub use moderation::*;
pub use reports::*;
