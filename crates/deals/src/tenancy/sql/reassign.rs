//! The reassignment of what a member owns.

use guildhall_kernel::{Caller, Timestamp, db::Tx};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};

use crate::{
    MemberId, OrganizationId, Reassigned, Result,
    core::{access::active_members, audit::BulkChange},
    entity::{client, deal, member, role, task},
    event::{DealsAssigned, MemberReassigned},
    permission::OWNER,
};

/// The reassignment of the clients, deals and tasks of a member, including those in the trash.
pub(super) struct Reassignment<'a> {
    pub(super) org: OrganizationId,
    pub(super) from: MemberId,
    pub(super) to: MemberId,
    /// `None` for the system.
    pub(super) caller: Option<&'a Caller>,
    pub(super) now: Timestamp,
}

impl Reassignment<'_> {
    /// Reassigns what the member owns, and with `include_creator` also what they created.
    pub(super) async fn apply(self, tx: &Tx, include_creator: bool) -> Result<Reassigned> {
        self.change::<task::Entity>(tx, "task", task::Column::AssigneeId).await?;
        let clients = self.change::<client::Entity>(tx, "client", client::Column::OwnerId).await?;
        let deals = self.change::<deal::Entity>(tx, "deal", deal::Column::OwnerId).await?;
        if include_creator {
            self.change::<task::Entity>(tx, "task", task::Column::CreatedBy).await?;
            self.change::<client::Entity>(tx, "client", client::Column::CreatedBy).await?;
            self.change::<deal::Entity>(tx, "deal", deal::Column::CreatedBy).await?;
        }
        let Self { org, from, to, caller, .. } = self;
        tx.emit(&MemberReassigned { organization_id: org, id: from, to, clients, deals }).await?;
        if deals > 0 {
            let actor = caller.map(|caller| caller.user);
            tx.emit(&DealsAssigned { organization_id: org, owner: to, deals, actor }).await?;
        }
        Ok(Reassigned { clients, deals })
    }

    async fn change<E: EntityTrait>(&self, tx: &Tx, kind: &'static str, column: E::Column) -> Result<u64> {
        let change = BulkChange::<E> {
            action: "deals.reassign",
            kind,
            column,
            value: self.to.0,
            also: Vec::new(),
            condition: Condition::all().add(Expr::col("org_id").eq(self.org)).add(column.eq(self.from)),
        };
        change.apply(tx, self.org, self.caller, self.now).await
    }
}

/// Returns the active member who takes over from a leaving one: an owner if there is one, else an admin, else the
/// longest-standing member.
pub(super) async fn default_successor(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    leaving: MemberId,
) -> Result<Option<member::Model>> {
    let others = active_members()
        .filter(member::COLUMN.org_id.eq(org))
        .filter(member::COLUMN.id.ne(leaving))
        .find_also_related(role::Entity)
        .order_by_asc(member::Column::Id)
        .limit(1000)
        .all(conn)
        .await?;
    let rank = |role: &Option<role::Model>| match role.as_ref().and_then(|role| role.key.as_deref()) {
        Some(OWNER) => 0,
        Some("admin") => 1,
        _ => 2,
    };
    Ok(others.into_iter().min_by_key(|(member, role)| (rank(role), member.id)).map(|(member, _)| member))
}
