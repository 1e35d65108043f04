//! The service traits.

mod events;
mod rsvps;

pub use events::*;
pub use rsvps::*;
