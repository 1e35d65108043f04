//! The types.

mod attachments;
mod comments;
mod drafts;
mod polls;
mod posts;

pub use attachments::*;
pub use comments::*;
pub use drafts::*;
pub use polls::*;
pub use posts::*;
