//! Which users the events of the domains notify, and what they may see of what they are notified of.

mod chat;
mod community;
mod deals;
mod messaging;

pub(crate) use chat::ChatSource;
pub(crate) use community::CommunitySource;
pub(crate) use deals::DealsSource;
pub(crate) use messaging::MessagingSource;
