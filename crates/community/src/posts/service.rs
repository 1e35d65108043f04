//! The service traits.

mod attachments;
mod comments;
mod drafts;
mod polls;
mod posts;
mod reactions;

pub use attachments::*;
pub use comments::*;
pub use drafts::*;
pub use polls::*;
pub use posts::*;
pub use reactions::*;
