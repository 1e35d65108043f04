//! The services.

mod notifications;
mod preferences;
mod subscriptions;
mod unsubscribing;

pub use notifications::*;
pub use preferences::*;
pub use subscriptions::*;
pub use unsubscribing::*;
