//! The types.

mod audit;
mod changes;
mod messages;
mod participants;
mod pins;
mod requests;
mod rooms;

pub use audit::*;
pub use changes::*;
pub use messages::*;
pub use participants::*;
pub use pins::*;
pub use requests::*;
pub use rooms::*;
