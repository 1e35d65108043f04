//! The types.

mod events;
mod rsvps;

pub use events::*;
pub use rsvps::*;
