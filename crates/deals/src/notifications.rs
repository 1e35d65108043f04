//! What the host needs to notify users: descriptions of objects, and who may see them.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::Hash,
};

use guildhall_kernel::{Caller, Roles, Timestamp, UserId, db};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait, QueryFilter, QuerySelect, Select, sea_query::Expr,
};

use crate::{
    DealId, Error, MemberId, OrganizationId, Result, SqlDeals, TaskId,
    core::{Core, access::active_members, objects::stored_deal, scope::TASK_TARGET_IS_LIVE},
    entity::{deal, member, task},
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

/// What a notification says about an open task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSummary {
    /// The title.
    pub title: String,
    /// The member who it is assigned to.
    pub assignee: MemberId,
    /// When it is due.
    pub due_at: Option<Timestamp>,
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

/// What decides who may see a task.
#[derive(DerivePartialModel)]
#[sea_orm(entity = "task::Entity")]
struct TaskRow {
    id: TaskId,
    org_id: OrganizationId,
    assignee_id: MemberId,
    created_by: MemberId,
}

/// An object of an organization.
struct Owned<I> {
    id: I,
    org: OrganizationId,
    owner: MemberId,
    creator: MemberId,
}

/// The tasks that are not done and whose deal or client is not in the trash.
fn open_tasks() -> Select<task::Entity> {
    task::Entity::find().filter(task::COLUMN.done_at.is_null()).filter(Expr::cust(TASK_TARGET_IS_LIVE))
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

    /// An open task, whoever may see it.
    pub async fn task_summary(
        &self,
        conn: &impl ConnectionTrait,
        org: OrganizationId,
        id: TaskId,
    ) -> Result<Option<TaskSummary>> {
        let task = open_tasks().filter(task::COLUMN.org_id.eq(org)).filter(task::COLUMN.id.eq(id)).one(conn).await?;
        Ok(task.map(|task| TaskSummary { title: task.title, assignee: task.assignee_id, due_at: task.due_at }))
    }

    /// Those of these objects, in any organizations, for which a user has all of these permissions.
    async fn permitted<I: Copy + Eq + Hash>(
        &self,
        user: UserId,
        objects: &[Owned<I>],
        permissions: &[Permission],
    ) -> Result<HashSet<I>> {
        let conn = self.core().db.conn();
        let caller = Caller::new(user, Roles::default());
        let mut permitted = HashSet::new();
        for org in objects.iter().map(|object| object.org).collect::<BTreeSet<_>>() {
            let access = match self.core().access(conn, &caller, org).await {
                Ok(access) => access,
                Err(Error::OrganizationNotFound(_)) => continue,
                Err(error) => return Err(error),
            };
            let is_permitted = |object: &&Owned<I>| {
                object.org == org && permissions.iter().all(|one| access.covers(*one, object.owner, object.creator))
            };
            permitted.extend(objects.iter().filter(is_permitted).map(|object| object.id));
        }
        Ok(permitted)
    }

    async fn permitted_deals(
        &self,
        user: UserId,
        ids: &[DealId],
        permissions: &[Permission],
    ) -> Result<HashSet<DealId>> {
        let ids = db::pad_ids(ids.iter().map(|id| id.0));
        let deals = deal::Entity::find()
            .filter(deal::COLUMN.id.is_in(ids.into_iter().map(DealId)))
            .filter(deal::COLUMN.deleted_at.is_null())
            .into_partial_model::<DealRow>()
            .all(self.core().db.conn())
            .await?;
        let owned =
            |DealRow { id, org_id: org, owner_id: owner, created_by: creator }| Owned { id, org, owner, creator };
        self.permitted(user, &deals.into_iter().map(owned).collect::<Vec<_>>(), permissions).await
    }

    /// Those of these tasks that are open and that a user may see.
    pub async fn visible_open_tasks(&self, user: UserId, ids: &[TaskId]) -> Result<HashSet<TaskId>> {
        let ids = db::pad_ids(ids.iter().map(|id| id.0));
        let tasks = open_tasks()
            .filter(task::COLUMN.id.is_in(ids.into_iter().map(TaskId)))
            .into_partial_model::<TaskRow>()
            .all(self.core().db.conn())
            .await?;
        let owned =
            |TaskRow { id, org_id: org, assignee_id: owner, created_by: creator }| Owned { id, org, owner, creator };
        self.permitted(user, &tasks.into_iter().map(owned).collect::<Vec<_>>(), &[Permission::TaskRead]).await
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
