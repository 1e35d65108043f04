//! Whether an organization has active webhooks.

use guildhall_kernel::db;
use sea_orm::ConnectionTrait;

use crate::{OrganizationId, Result};

const UPDATE_HAS_WEBHOOKS: &str = "UPDATE deals_organization SET has_webhooks = \
    EXISTS (SELECT 1 FROM deals_webhook w WHERE w.org_id = $1 AND w.is_active) WHERE id = $1";

/// Stores with the organization whether it has active webhooks: every transaction that emits an event reads it.
pub(super) async fn update_has_webhooks(conn: &impl ConnectionTrait, org: OrganizationId) -> Result<()> {
    db::execute(conn, UPDATE_HAS_WEBHOOKS, [org.into()]).await?;
    Ok(())
}
