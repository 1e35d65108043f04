//! The client or the deal of an operation. It is read by its id, together with the caller's access, and then checked
//! against that. Lists check the same in SQL.

use guildhall_kernel::{Caller, db::QueryTemplate};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryTrait, sea_query::SelectStatement};

use crate::{
    ClientId, DealId, DealRef, Error, OrganizationId, Result,
    core::{Conn, Core, access::Access},
    entity::{client, deal},
    permission::Permission,
};

static CLIENT: QueryTemplate<()> = QueryTemplate::new(|(), ids| {
    let [org, id] = *ids else { return SelectStatement::new() };
    client::Entity::find_by_id(ClientId(id))
        .filter(client::COLUMN.org_id.eq(OrganizationId(org)))
        .filter(client::COLUMN.deleted_at.is_null())
        .into_query()
});

static DEAL: QueryTemplate<()> = QueryTemplate::new(|(), ids| {
    let [org, id] = *ids else { return SelectStatement::new() };
    deal::Entity::find_by_id(DealId(id))
        .filter(deal::COLUMN.org_id.eq(OrganizationId(org)))
        .filter(deal::COLUMN.deleted_at.is_null())
        .into_query()
});

/// A client, unless it is in the trash. The caller may not be allowed to see it.
pub(crate) async fn stored_client(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    id: ClientId,
) -> Result<Option<client::Model>> {
    Ok(CLIENT.row(conn, &(), &[org.0, id.0]).await?)
}

/// A deal, unless it is in the trash. The caller may not be allowed to see it.
pub(crate) async fn stored_deal(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    id: DealId,
) -> Result<Option<deal::Model>> {
    Ok(DEAL.row(conn, &(), &[org.0, id.0]).await?)
}

impl Access {
    /// Checks that the caller may see a client.
    pub(crate) fn visible_client(&self, row: Option<client::Model>, id: ClientId) -> Result<client::Model> {
        let is_visible = |row: &client::Model| self.covers(Permission::ClientRead, row.owner_id, row.created_by);
        row.filter(is_visible).ok_or(Error::ClientNotFound(id))
    }

    /// Checks that the caller may see a deal.
    pub(crate) fn visible_deal(&self, row: Option<deal::Model>, deal: DealRef) -> Result<deal::Model> {
        let is_visible = |row: &deal::Model| {
            deal.client.is_none_or(|client| client == row.client_id)
                && self.covers(Permission::DealRead, row.owner_id, row.created_by)
        };
        row.filter(is_visible).ok_or(Error::DealNotFound(deal.deal))
    }

    /// Checks that the caller may see a deal and has a permission for it.
    pub(crate) fn permitted_deal(
        &self,
        row: Option<deal::Model>,
        deal: DealRef,
        permission: Permission,
    ) -> Result<deal::Model> {
        let row = self.visible_deal(row, deal)?;
        self.may_with(permission, row.owner_id, row.created_by)?;
        Ok(row)
    }

    /// Returns a client that the caller may see.
    pub(crate) async fn find_client(&self, conn: &impl ConnectionTrait, id: ClientId) -> Result<client::Model> {
        self.visible_client(stored_client(conn, self.org.id, id).await?, id)
    }

    /// Returns a client that the caller may see and has a permission for.
    pub(crate) async fn client_for(
        &self,
        conn: &impl ConnectionTrait,
        id: ClientId,
        permission: Permission,
    ) -> Result<client::Model> {
        let row = self.find_client(conn, id).await?;
        self.may_with(permission, row.owner_id, row.created_by)?;
        Ok(row)
    }

    /// Returns a deal that the caller may see and has a permission for.
    pub(crate) async fn deal_for(
        &self,
        conn: &impl ConnectionTrait,
        deal: DealRef,
        permission: Permission,
    ) -> Result<deal::Model> {
        self.permitted_deal(stored_deal(conn, self.org.id, deal.deal).await?, deal, permission)
    }
}

impl Core {
    /// Loads the caller's access, and a client that they may see and have a permission for.
    pub(crate) async fn access_to_client<C: Conn>(
        &self,
        conn: &C,
        caller: &Caller,
        (org, id): (OrganizationId, ClientId),
        permission: Permission,
    ) -> Result<(Access, client::Model)> {
        let pipeline = conn.pipeline();
        let read = stored_client(&pipeline, org, id);
        let (access, row) = self.access_and((conn, &pipeline), caller, org, read).await?;
        let row = access.visible_client(row?, id)?;
        access.may_with(permission, row.owner_id, row.created_by)?;
        Ok((access, row))
    }

    /// Loads the caller's access, and a deal that they may see and have a permission for.
    pub(crate) async fn access_to_deal<C: Conn>(
        &self,
        conn: &C,
        caller: &Caller,
        (org, deal): (OrganizationId, DealRef),
        permission: Permission,
    ) -> Result<(Access, deal::Model)> {
        let pipeline = conn.pipeline();
        let read = stored_deal(&pipeline, org, deal.deal);
        let (access, row) = self.access_and((conn, &pipeline), caller, org, read).await?;
        let row = access.permitted_deal(row?, deal, permission)?;
        Ok((access, row))
    }
}
