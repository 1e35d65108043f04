//! Removal of a user: what blocks it, and what each domain does before it.

use async_trait::async_trait;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Result, UserId,
    db::{Snapshot, Tx},
};

/// Objects of a user that block the removal of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Blocker {
    /// The kind of object: `deal`.
    pub model: &'static str,
    /// How many there are.
    pub count: u64,
    /// Labels of the first few: `DLID0001 - Global Corp`.
    pub examples: Vec<String>,
}

/// A domain's part in the removal of a user. Every domain that stores data of users implements it. The
/// accounts crate calls it inside the transaction that removes the user, a transaction that
/// crosses a trait so that all of it happens or nothing.
#[async_trait]
pub trait UserRemoval: Send + Sync + 'static {
    /// The objects that block the removal. With a successor, only those that the successor cannot take over.
    async fn blockers(&self, tx: &Tx, user: UserId, successor: Option<UserId>) -> Result<Vec<Blocker>>;

    /// Whether the domain stores anything of the user. An account that nothing uses can be deleted with test data.
    async fn is_used(&self, tx: &Tx, user: UserId) -> Result<bool>;

    /// Reassigns what must outlive the user, to the successor if there is one. Rows that foreign keys clear or
    /// delete need nothing here.
    async fn release(&self, tx: &Tx, user: UserId, successor: Option<UserId>) -> Result<()>;

    /// The user's data in this domain for a data export, with the name of its section; `null` if it has none of its own.
    async fn export(&self, conn: &Snapshot, user: UserId) -> Result<(&'static str, serde_json::Value)>;
}

/// Deletes accounts together with test data. The accounts crate implements it and decides which accounts can be deleted;
/// the domain that deletes its test data calls it inside that transaction.
#[async_trait]
pub trait AccountCleanup: Send + Sync + 'static {
    /// Deletes an account, unless it is a staff account or a domain uses it; returns whether it was deleted.
    async fn remove_unused(&self, tx: &Tx, user: UserId) -> Result<bool>;
}
