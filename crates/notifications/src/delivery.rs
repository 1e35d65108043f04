//! How events become notifications, and how these reach their recipients.
//!
//! The [`Notifier`] stores what an event has to notify users of in a queue, in the transaction of the event. From there
//! it is delivered in a transaction of its own, after the source was asked whether the recipient may see it: that
//! question, and those for names, are not asked in a transaction.

mod due;
mod emails;
mod grouping;
mod message;
mod notifier;
mod pushes;
mod queue;
mod retention;

pub use due::DueMessages;
pub use notifier::Notifier;
pub use pushes::Pushes;
pub use retention::Retention;
