//! What the host needs to notify users: descriptions of objects, and who may see them.

use std::collections::{BTreeSet, HashMap, HashSet};

use guildhall_kernel::{Caller, Roles, UserId, db};
use sea_orm::{ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait, QueryFilter, QuerySelect};

use crate::{
    DealId, Error, MemberId, OrganizationId, Result, SqlDeals,
    core::{Core, access::active_members, objects::stored_deal},
    entity::{deal, member},
    permission::Permission,
};

/// What a notification says about a deal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DealSummary {
    /// The number: `DLID0001`.
    pub number: String,
    /// The title.
    pub title: String,
    /// The member who owns it.
    pub owner: MemberId,
}

/// What decides who may see a deal.
#[derive(DerivePartialModel)]
#[sea_orm(entity = "deal::Entity")]
struct DealRow {
    id: DealId,
    org_id: OrganizationId,
    owner_id: MemberId,
    created_by: MemberId,
}

impl SqlDeals {
    fn core(&self) -> &Core {
        &self.sales.core
    }

    /// A deal that is not in the trash, whoever may see it.
    pub async fn deal_summary(
        &self,
        conn: &impl ConnectionTrait,
        org: OrganizationId,
        id: DealId,
    ) -> Result<Option<DealSummary>> {
        let deal = stored_deal(conn, org, id).await?;
        Ok(deal.map(|deal| DealSummary { number: deal.code, title: deal.title, owner: deal.owner_id }))
    }

    /// The users behind those of these members who are active.
    pub async fn active_users(
        &self,
        conn: &impl ConnectionTrait,
        members: &[MemberId],
    ) -> Result<HashMap<MemberId, UserId>> {
        let users: Vec<(MemberId, Option<UserId>)> = active_members()
            .filter(member::COLUMN.id.is_in(members.iter().copied()))
            .select_only()
            .column(member::Column::Id)
            .column(member::Column::UserId)
            .into_tuple()
            .all(conn)
            .await?;
        Ok(users.into_iter().filter_map(|(id, user)| Some((id, user?))).collect())
    }

    /// Those of these deals, in any organizations, for which a user has all of these permissions.
    async fn permitted_deals(
        &self,
        user: UserId,
        ids: &[DealId],
        permissions: &[Permission],
    ) -> Result<HashSet<DealId>> {
        let conn = self.core().db.conn();
        let ids = db::pad_ids(ids.iter().map(|id| id.0));
        let deals = deal::Entity::find()
            .filter(deal::COLUMN.id.is_in(ids.into_iter().map(DealId)))
            .filter(deal::COLUMN.deleted_at.is_null())
            .into_partial_model::<DealRow>()
            .all(conn)
            .await?;
        let caller = Caller::new(user, Roles::default());
        let mut permitted = HashSet::new();
        for org in deals.iter().map(|deal| deal.org_id).collect::<BTreeSet<_>>() {
            let access = match self.core().access(conn, &caller, org).await {
                Ok(access) => access,
                Err(Error::OrganizationNotFound(_)) => continue,
                Err(error) => return Err(error),
            };
            let is_permitted = |deal: &&DealRow| {
                deal.org_id == org && permissions.iter().all(|one| access.covers(*one, deal.owner_id, deal.created_by))
            };
            permitted.extend(deals.iter().filter(is_permitted).map(|deal| deal.id));
        }
        Ok(permitted)
    }

    /// Those of these deals that a user may see.
    pub async fn visible_deals(&self, user: UserId, ids: &[DealId]) -> Result<HashSet<DealId>> {
        self.permitted_deals(user, ids, &[Permission::DealRead]).await
    }

    /// Those of these deals whose payments a user may see.
    pub async fn deals_with_visible_payments(&self, user: UserId, ids: &[DealId]) -> Result<HashSet<DealId>> {
        self.permitted_deals(user, ids, &[Permission::DealRead, Permission::PaymentRead]).await
    }

    /// Those of these organizations of which a user is an active member.
    pub async fn organizations_of(&self, user: UserId, ids: &[OrganizationId]) -> Result<HashSet<OrganizationId>> {
        let ids = db::pad_ids(ids.iter().map(|id| id.0));
        let own = active_members()
            .filter(member::COLUMN.user_id.eq(user))
            .filter(member::COLUMN.org_id.is_in(ids.into_iter().map(OrganizationId)))
            .select_only()
            .column(member::Column::OrgId);
        Ok(own.into_tuple().all(self.core().db.conn()).await?.into_iter().collect())
    }
}
