//! Authentication within the process.

use async_trait::async_trait;
use guildhall_accounts::SqlAccounts;
use guildhall_kernel::{Authenticate, Caller, Credentials, Error, Kind, Result, UserId};

/// Takes the id of a user as their token. Signing in instead would hash passwords, and leave sessions behind. The router
/// with this must not be served.
pub(super) struct ById(pub(super) SqlAccounts);

#[async_trait]
impl Authenticate for ById {
    async fn authenticate(&self, credentials: Credentials) -> Result<Caller> {
        let id = credentials.secret().parse().map(UserId);
        let id =
            id.map_err(|_| Error::new(Kind::Unauthenticated, "not_authenticated", "This is not the id of a user."))?;
        Ok(Caller::new(id, self.0.roles_of(id).await?))
    }
}
