//! The service traits.

mod moderation;
mod reports;
mod reviews;

pub use moderation::*;
pub use reports::*;
pub use reviews::*;
