//! The services on a database.

mod events;
mod rsvps;

use crate::core::Core;

/// The services of events on a database.
#[derive(Clone)]
pub struct SqlEvents {
    pub(crate) core: Core,
}
