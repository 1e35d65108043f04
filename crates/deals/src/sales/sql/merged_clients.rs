//! The ids of merged clients, which lead to the clients that they were merged into.

use sea_orm::{ConnectionTrait, EntityTrait};

use crate::{ClientId, OrganizationId, Result, entity::merged_client};

/// The client that a client was merged into, if it was.
pub(super) async fn merged_into(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    id: ClientId,
) -> Result<Option<ClientId>> {
    Ok(merged_client::Entity::find_by_id((org, id)).one(conn).await?.map(|row| row.client_id))
}
