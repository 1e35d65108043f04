//! The service traits.

mod attachments;
mod blocks;
mod changes;
mod conversations;
mod groups;
mod message_types;
mod messages;
mod people;
mod preferences;
mod reactions;
mod reading;
mod requests;
mod search;

pub use attachments::*;
pub use blocks::*;
pub use changes::*;
pub use conversations::*;
pub use groups::*;
pub use message_types::*;
pub use messages::*;
pub use people::*;
pub use preferences::*;
pub use reactions::*;
pub use reading::*;
pub use requests::*;
pub use search::*;
