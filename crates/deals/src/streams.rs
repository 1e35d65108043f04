//! What the host needs for streams of boards: who may follow them.

use guildhall_kernel::Caller;

use crate::{Error, OrganizationId, Result, SqlDeals, core::access::reads_deals};

impl SqlDeals {
    /// Whether the caller may see deals of an organization, at least their own.
    pub async fn may_see_deals(&self, caller: &Caller, org: OrganizationId) -> Result<bool> {
        let core = &self.sales.core;
        match core.access(core.db.conn(), caller, org).await {
            Ok(access) => Ok(reads_deals(access.member.status, &access.role)),
            Err(Error::OrganizationNotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
