//! A part of a service that exists only after the service which needs it.

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use guildhall_kernel::{
    Blocker, Error, Result, UserId, UserRemoval,
    db::{Snapshot, Tx},
};
use serde_json::Value;

/// The removal of users from a domain, whose services need accounts, which need this.
#[derive(Clone, Default)]
pub(crate) struct LaterRemoval(Arc<OnceLock<Weak<dyn UserRemoval>>>);

impl LaterRemoval {
    /// Sets what it stands for; only the first call counts. The reference is weak, since the domain refers to accounts.
    pub(crate) fn set(&self, removal: &Arc<dyn UserRemoval>) {
        let _ = self.0.set(Arc::downgrade(removal));
    }

    fn get(&self) -> Result<Arc<dyn UserRemoval>> {
        self.0.get().and_then(Weak::upgrade).ok_or_else(|| Error::internal("the domain is not open yet"))
    }
}

#[async_trait]
impl UserRemoval for LaterRemoval {
    async fn blockers(&self, tx: &Tx, user: UserId, successor: Option<UserId>) -> Result<Vec<Blocker>> {
        self.get()?.blockers(tx, user, successor).await
    }

    async fn is_used(&self, tx: &Tx, user: UserId) -> Result<bool> {
        self.get()?.is_used(tx, user).await
    }

    async fn release(&self, tx: &Tx, user: UserId, successor: Option<UserId>) -> Result<()> {
        self.get()?.release(tx, user, successor).await
    }

    async fn export(&self, conn: &Snapshot, user: UserId) -> Result<(&'static str, Value)> {
        self.get()?.export(conn, user).await
    }
}
