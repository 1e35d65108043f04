//! Searches users for messaging and chat.

use async_trait::async_trait;
use guildhall_accounts::SqlAccounts;
use guildhall_chat::ActiveUsers;
use guildhall_kernel::{Person, Result, UserId};
use guildhall_messaging::PeopleSearch;

/// The users of the accounts crate.
pub(crate) struct AccountSearch(pub(crate) SqlAccounts);

#[async_trait]
impl PeopleSearch for AccountSearch {
    async fn active(&self, users: &[UserId]) -> Result<Vec<UserId>> {
        Ok(self.0.active_users(users).await?)
    }

    async fn search(&self, prefix: &str, after: Option<&str>, limit: u64) -> Result<Vec<Person>> {
        Ok(self.0.search_people(prefix, after, limit).await?)
    }
}

#[async_trait]
impl ActiveUsers for AccountSearch {
    async fn active(&self, users: &[UserId]) -> Result<Vec<UserId>> {
        Ok(self.0.active_users(users).await?)
    }
}
