use async_trait::async_trait;

use crate::{Account, NewUser, Result};

/// The first start of an installation, while there is nobody who could grant roles.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait FirstStart: Send + Sync + 'static {
    /// Whether there is no active superuser.
    async fn needs_superuser(&self) -> Result<bool>;
    /// Creates an account with the role `superuser`, whose email address counts as verified. Fails if there is an
    /// active superuser. The caller has to make sure that only the operator of the service gets here.
    async fn create_first_superuser(&self, new: NewUser) -> Result<Account>;
}
