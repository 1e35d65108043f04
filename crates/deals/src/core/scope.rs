//! Conditions on rows: in the organization, and covered by the scope of a permission.

use guildhall_kernel::db;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, Select, sea_query::Expr};

use super::access::Access;
use crate::{
    MemberId, OrganizationId,
    entity::{client, deal, task},
    permission::{Permission, Scope},
};

/// SQL condition on tasks: neither their deal nor their client is in the trash.
pub(crate) const TASK_TARGET_IS_LIVE: &str = "NOT EXISTS (SELECT 1 FROM deals_deal d \
    WHERE d.org_id = deals_task.org_id AND d.id = deals_task.deal_id AND d.deleted_at IS NOT NULL) \
    AND NOT EXISTS (SELECT 1 FROM deals_client c \
    WHERE c.org_id = deals_task.org_id AND c.id = deals_task.client_id AND c.deleted_at IS NOT NULL)";

/// The columns that decide which scopes cover a row.
struct OwnerColumns<C> {
    org: C,
    owner: C,
    creator: C,
}

/// Which rows a permission covers, but for the ids of the organization and its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowScope {
    scope: Option<Scope>,
    creator_keeps_access: bool,
}

impl RowScope {
    /// Whether all rows of the organization are covered.
    pub(crate) fn is_all(self) -> bool {
        self.scope == Some(Scope::All)
    }

    /// The condition for the ids of [`Access::row_scope`].
    fn condition<C: ColumnTrait>(self, ids: &[i64], columns: &OwnerColumns<C>) -> Condition {
        let [org, members @ ..] = ids else { return Condition::all().add(Expr::val(false)) };
        let in_org = Condition::all().add(columns.org.eq(OrganizationId(*org)));
        if self.is_all() {
            return in_org;
        }
        let [member, teammates @ ..] = members else { return in_org.add(Expr::val(false)) };
        let mut own = Condition::any().add(columns.owner.eq(MemberId(*member)));
        if self.creator_keeps_access {
            own = own.add(columns.creator.eq(MemberId(*member)));
        }
        if self.scope == Some(Scope::Team) {
            own = own.add(columns.owner.is_in(teammates.iter().copied().map(MemberId)));
        }
        in_org.add(own)
    }

    /// The clients that are not in the trash.
    pub(crate) fn clients(self, ids: &[i64]) -> Select<client::Entity> {
        let columns = OwnerColumns {
            org: client::Column::OrgId,
            owner: client::Column::OwnerId,
            creator: client::Column::CreatedBy,
        };
        let covered = client::Entity::find().filter(self.condition(ids, &columns));
        covered.filter(client::COLUMN.deleted_at.is_null())
    }

    /// The deals that are not in the trash.
    pub(crate) fn deals(self, ids: &[i64]) -> Select<deal::Entity> {
        deal::Entity::find().filter(self.deal_condition(ids)).filter(deal::COLUMN.deleted_at.is_null())
    }

    fn deal_condition(self, ids: &[i64]) -> Condition {
        let columns =
            OwnerColumns { org: deal::Column::OrgId, owner: deal::Column::OwnerId, creator: deal::Column::CreatedBy };
        self.condition(ids, &columns)
    }
}

impl Access {
    /// Which rows a permission covers, and the ids for it: of the organization, and unless it covers all rows, of the
    /// member and of the teammates.
    pub(crate) fn row_scope(&self, permission: Permission) -> (RowScope, Vec<i64>) {
        let scope = self.grants.scope(permission);
        let mut ids = vec![self.org.id.0];
        match scope {
            Some(Scope::Own) => ids.push(self.member.id.0),
            Some(Scope::Team) => {
                ids.push(self.member.id.0);
                ids.extend(db::pad_ids(self.teammates.iter().map(|member| member.0)));
            }
            Some(Scope::All) | None => {}
        }
        (RowScope { scope, creator_keeps_access: self.org.creator_keeps_access }, ids)
    }

    /// The clients that the caller may see.
    pub(crate) fn clients(&self) -> Select<client::Entity> {
        let (scope, ids) = self.row_scope(Permission::ClientRead);
        scope.clients(&ids)
    }

    /// The deals that the caller may see.
    pub(crate) fn deals(&self) -> Select<deal::Entity> {
        self.deals_for(Permission::DealRead)
    }

    /// The deals that the scope of a permission covers.
    pub(crate) fn deals_for(&self, permission: Permission) -> Select<deal::Entity> {
        let (scope, ids) = self.row_scope(permission);
        scope.deals(&ids)
    }

    /// Condition on deals, also of those in the trash: covered by the scope of a permission.
    pub(crate) fn deals_in_scope(&self, permission: Permission) -> Condition {
        let (scope, ids) = self.row_scope(permission);
        scope.deal_condition(&ids)
    }

    /// The tasks that the scope of a permission covers; the assignee counts as the owner.
    pub(crate) fn tasks_for(&self, permission: Permission) -> Select<task::Entity> {
        let columns = OwnerColumns {
            org: task::Column::OrgId,
            owner: task::Column::AssigneeId,
            creator: task::Column::CreatedBy,
        };
        let (scope, ids) = self.row_scope(permission);
        task::Entity::find().filter(scope.condition(&ids, &columns)).filter(Expr::cust(TASK_TARGET_IS_LIVE))
    }
}
