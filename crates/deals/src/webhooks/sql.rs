//! Webhooks on a database, as specified by Standard Webhooks (<https://www.standardwebhooks.com>). The subscriber
//! stores a delivery for each event and webhook; the outbox sends them.

mod active;
mod deliveries;
mod sending;
mod subscriber;
mod subscriptions;

use crate::core::Core;

/// Webhooks, on a database.
#[derive(Clone)]
pub struct SqlWebhooks {
    pub(crate) core: Core,
}
