//! What becomes of a person's things when the person goes.

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Result, UserId};

/// Things of a person that keep the account from being removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Blocker {
    /// What they are, in one word: `deal`.
    pub model: &'static str,
    /// How many there are.
    pub count: u64,
    /// The first few, in words for people: `DLID0001 - Global Corp`.
    pub examples: Vec<String>,
}

/// What a domain has to say when a person is removed. Every domain that keeps things of people
/// implements it, and whoever has accounts calls it inside the one transaction that removes the
/// person: the named exception to the rule that no transaction crosses a trait.
#[async_trait]
pub trait UserRemoval: Send + Sync + 'static {
    /// What of theirs keeps the person from being removed. With an heir, only what the heir cannot take.
    async fn blockers(&self, conn: &DatabaseTransaction, user: UserId, heir: Option<UserId>) -> Result<Vec<Blocker>>;

    /// Hands over what must go on without the person: to the heir, if there is one. What foreign keys
    /// clear by themselves needs nothing here.
    async fn release(&self, conn: &DatabaseTransaction, user: UserId, heir: Option<UserId>) -> Result<()>;

    /// The name under which [`export`](Self::export) appears, and what the person has here, for them to
    /// take along.
    async fn export(&self, conn: &DatabaseTransaction, user: UserId) -> Result<(&'static str, serde_json::Value)>;
}
