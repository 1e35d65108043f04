//! The types.

mod attachments;
mod blocks;
mod changes;
mod conversations;
mod groups;
mod message_types;
mod messages;
mod preferences;

pub use attachments::*;
pub use blocks::*;
pub use changes::*;
pub use conversations::*;
pub use groups::*;
pub use message_types::*;
pub use messages::*;
pub use preferences::*;
