//! Ids, inputs, and what callers see.

mod notifications;
mod preferences;
mod subscriptions;

pub use notifications::*;
pub use preferences::*;
pub use subscriptions::*;
