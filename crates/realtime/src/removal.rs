//! What happens to the stream of a user whose account is removed.

use async_trait::async_trait;
use guildhall_kernel::{
    Blocker, Result, UserId, UserRemoval,
    db::{Snapshot, Tx},
};
use serde_json::Value;

use crate::{OwnStream, Streams};

/// Deletes the stream `user/{id}` of a removed user, and erases the content of events that are about them. Has to run
/// after the domains that append to it.
#[derive(Clone)]
pub struct Removal(Streams);

impl Removal {
    /// The handler for these streams.
    pub fn new(streams: Streams) -> Self {
        Self(streams)
    }
}

#[async_trait]
impl UserRemoval for Removal {
    async fn blockers(&self, _: &Tx, _: UserId, _: Option<UserId>) -> Result<Vec<Blocker>> {
        Ok(Vec::new())
    }

    /// Events only repeat what the domains store, so they do not count as use of the account.
    async fn is_used(&self, _: &Tx, _: UserId) -> Result<bool> {
        Ok(false)
    }

    async fn release(&self, tx: &Tx, user: UserId, _: Option<UserId>) -> Result<()> {
        Ok(self.0.delete(tx, [OwnStream::of(user)]).await?)
    }

    /// Nothing: the domains export what the events repeat.
    async fn export(&self, _: &Snapshot, _: UserId) -> Result<(&'static str, Value)> {
        Ok(("realtime", Value::Null))
    }
}
