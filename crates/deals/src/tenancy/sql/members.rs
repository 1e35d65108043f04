//! Members of organizations. An organization always has an active owner, and nobody can extend their own rights.

use std::collections::HashMap;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, Timestamp, db::Tx};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, Set, sea_query::Expr,
};

use crate::{
    Error, Member, MemberBlocker, MemberId, MemberPatch, MemberStatus, Members, NewMember, OrganizationId, Reassign,
    Reassigned, Result, RoleId, RoleStub, SqlTenancy,
    core::{
        access::{Access, active_members, grants_of},
        as_field,
        audit::BulkChange,
        execute, lock, lock_to_remove, scalar_i64, store,
    },
    entity::{deal, member, organization, payment, role},
    event::MemberReassigned,
    permission::{OWNER, Permission},
    sales::sql::clients,
    tenancy::sql::{roles, teams},
};

/// How many examples a blocker has.
const EXAMPLES: u64 = 5;

/// Returns a member of the organization with their role.
async fn find(conn: &impl ConnectionTrait, access: &Access, id: MemberId) -> Result<(member::Model, role::Model)> {
    let row = member::Entity::find_by_id(id)
        .filter(member::COLUMN.org_id.eq(access.org.id))
        .filter(member::COLUMN.status.ne(MemberStatus::Gone))
        .find_also_related(role::Entity)
        .one(conn)
        .await?;
    match row {
        Some((member, Some(role))) => Ok((member, role)),
        _ => Err(Error::NotFound("member")),
    }
}

/// Counts the active owners other than a member.
pub(crate) async fn other_owners(conn: &impl ConnectionTrait, org: OrganizationId, member: MemberId) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM deals_member m JOIN deals_role r ON r.id = m.role_id \
               WHERE m.org_id = $1 AND m.status = 'active' AND m.id <> $2 AND r.key = 'owner'";
    scalar_i64(conn, sql, [org.into(), member.into()]).await
}

/// What prevents the removal of a member, by relation. Payments do not: they keep a reference to the former member.
async fn removal_blockers(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    id: MemberId,
) -> Result<Vec<MemberBlocker>> {
    let mut blockers = Vec::new();
    for (relation, column) in [("created_by", deal::Column::CreatedBy), ("owner", deal::Column::OwnerId)] {
        blockers.extend(deal_blocker(conn, live_deals(org).filter(column.eq(id)), relation).await?);
    }
    Ok(blockers)
}

/// What prevents the deletion of a member's account. Each deal and payment counts once.
pub(crate) async fn account_blockers(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    id: MemberId,
) -> Result<Vec<MemberBlocker>> {
    let either = |left: Expr, right: Expr| Condition::any().add(left).add(right);
    let condition = either(deal::Column::CreatedBy.eq(id), deal::Column::OwnerId.eq(id));
    let mut blockers: Vec<MemberBlocker> =
        deal_blocker(conn, live_deals(org).filter(condition), "owner").await?.into_iter().collect();
    let condition = either(payment::Column::RecordedBy.eq(id), payment::Column::DecidedBy.eq(id));
    blockers.extend(payment_blocker(conn, live_payments(org).filter(condition), "recorded_by").await?);
    Ok(blockers)
}

fn live_deals(org: OrganizationId) -> Select<deal::Entity> {
    deal::Entity::find().filter(deal::COLUMN.org_id.eq(org)).filter(deal::COLUMN.deleted_at.is_null())
}

/// The payments of deals that are not in the trash.
fn live_payments(org: OrganizationId) -> Select<payment::Entity> {
    let live = live_deals(org).select_only().column(deal::Column::Id).into_query();
    payment::Entity::find().filter(payment::COLUMN.org_id.eq(org)).filter(payment::Column::DealId.in_subquery(live))
}

/// Counts payments; the examples are numbers such as `TXN-0001`.
async fn payment_blocker(
    conn: &impl ConnectionTrait,
    payments: Select<payment::Entity>,
    relation: &'static str,
) -> Result<Option<MemberBlocker>> {
    let first = payments.clone().select_only().column(payment::Column::Code).order_by_asc(payment::Column::Number);
    let examples: Vec<String> = first.limit(EXAMPLES).into_tuple().all(conn).await?;
    if examples.is_empty() {
        return Ok(None);
    }
    Ok(Some(MemberBlocker { model: "payment", relation, count: payments.count(conn).await?, examples }))
}

/// Counts deals; the examples are such as `DLID0001 - Global Corp`.
async fn deal_blocker(
    conn: &impl ConnectionTrait,
    deals: Select<deal::Entity>,
    relation: &'static str,
) -> Result<Option<MemberBlocker>> {
    let first = deals.clone().order_by_asc(deal::Column::Number).limit(EXAMPLES).all(conn).await?;
    if first.is_empty() {
        return Ok(None);
    }
    let names = clients::names(conn, first.iter().map(|deal| deal.client_id)).await?;
    let example = |deal: &deal::Model| match names.get(&deal.client_id) {
        Some(client) => format!("{} - {client}", deal.code),
        None => deal.code.clone(),
    };
    let examples = first.iter().map(example).collect();
    Ok(Some(MemberBlocker { model: "deal", relation, count: deals.count(conn).await?, examples }))
}

/// Reassigns the clients, deals and tasks of a member, including those in the trash.
pub(crate) async fn reassign_objects(
    tx: &Tx,
    org: OrganizationId,
    from: MemberId,
    to: MemberId,
    include_creator: bool,
    (caller, now): (Option<&Caller>, Timestamp),
) -> Result<Reassigned> {
    let mut reassigned = Reassigned::default();
    for is_owner in [true, false] {
        if !is_owner && !include_creator {
            continue;
        }
        for (table, kind, owner) in [
            ("deals_task", "task", "assignee_id"),
            ("deals_client", "client", "owner_id"),
            ("deals_deal", "deal", "owner_id"),
        ] {
            let column = if is_owner { owner } else { "created_by" };
            let condition = &format!("org_id = $1 AND {column} = $2");
            let change = BulkChange {
                action: "deals.reassign",
                table,
                kind,
                column,
                value: to.0,
                also: &[],
                condition,
                parameters: vec![org.into(), from.into()],
            };
            change.record(tx, org, caller, now).await?;
            let sql = format!("UPDATE {table} SET {column} = $3, updated_at = $4 WHERE {condition}");
            let rows = execute(tx, sql, [org.into(), from.into(), to.into(), now.into()]).await?;
            match kind {
                "client" if is_owner => reassigned.clients += rows,
                "deal" if is_owner => reassigned.deals += rows,
                _ => {}
            }
        }
    }
    let Reassigned { clients, deals } = reassigned;
    tx.emit(&MemberReassigned { organization_id: org, id: from, to, clients, deals }).await?;
    Ok(reassigned)
}

impl SqlTenancy {
    /// Converts members to what the API shows, with one query for all.
    pub(crate) async fn show_members(
        &self,
        access: &Access,
        rows: Vec<(member::Model, Option<role::Model>)>,
    ) -> Result<Vec<Member>> {
        let in_scope = access.members_in_scope(Permission::CommissionRead);
        let sees_commission =
            |id: MemberId| id == access.member.id || in_scope.as_ref().is_none_or(|members| members.contains(&id));
        let people = self.core.people(rows.iter().filter_map(|(member, _)| member.user_id)).await?;
        let show = |(row, role): (member::Model, Option<role::Model>)| {
            let role = role?;
            Some(Member {
                id: row.id,
                user: row.user_id.and_then(|user| people.get(&user)).cloned(),
                user_id: row.user_id,
                role: RoleStub { id: role.id, name: role.name },
                team_id: row.team_id,
                leads_team: row.leads_team,
                commission_bp: sees_commission(row.id).then_some(row.commission_bp),
                status: row.status,
                created_at: row.created_at,
                updated_at: row.updated_at,
            })
        };
        Ok(rows.into_iter().filter_map(show).collect())
    }

    pub(crate) async fn show_member(&self, access: &Access, row: member::Model, role: role::Model) -> Result<Member> {
        let members = self.show_members(access, vec![(row, Some(role))]).await?;
        members.into_iter().next().ok_or(Error::NotFound("member"))
    }
}

/// Requires that the caller's role grants at least what the role of another member grants.
fn require_rank(access: &Access, role: &role::Model) -> Result<()> {
    if access.grants.includes(&grants_of(role)) && (role.key.as_deref() != Some(OWNER) || access.is_owner()) {
        Ok(())
    } else {
        Err(Error::Escalation("You cannot manage a member with a role above your own."))
    }
}

/// Returns a role that the caller may assign: it grants no more than their own.
async fn assignable_role(conn: &impl ConnectionTrait, access: &Access, id: RoleId) -> Result<role::Model> {
    let role = roles::find(conn, access, id).await.map_err(as_field("role_id", "Role not found."))?;
    if role.key.as_deref() == Some(OWNER) && !access.is_owner() {
        return Err(Error::Escalation("Only an owner can make other members owners."));
    }
    if access.grants.includes(&grants_of(&role)) {
        Ok(role)
    } else {
        Err(Error::Escalation("You cannot assign a role above your own."))
    }
}

#[async_trait]
impl Members for SqlTenancy {
    async fn members(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Member>> {
        let conn = self.core.db.conn();
        let access = self.core.authorize(conn, caller, org, Permission::MemberRead).await?;
        let select = member::Entity::find()
            .filter(member::COLUMN.org_id.eq(access.org.id))
            .filter(member::COLUMN.status.ne(MemberStatus::Gone));
        let ordering = Ordering { fields: &[("id", member::Column::Id)], default: "id", id: member::Column::Id };
        let page = Page::<member::Model>::fetch(select, &ordering, &page, conn).await?;
        let roles = role::Entity::find().filter(role::COLUMN.org_id.eq(access.org.id)).all(conn).await?;
        let roles: HashMap<RoleId, role::Model> = roles.into_iter().map(|role| (role.id, role)).collect();
        let (rows, page) = page.take();
        let rows = rows.into_iter().map(|row| (row.clone(), roles.get(&row.role_id).cloned())).collect();
        let members = self.show_members(&access, rows).await?;
        Ok(page.with(|_| members))
    }

    async fn add_member(&self, caller: &Caller, org: OrganizationId, new: NewMember) -> Result<Member> {
        new.validate()?;
        self.core.authorize(self.core.db.conn(), caller, org, Permission::MemberInvite).await?;
        let (new, invitee) = (&new, &self.load_invitee(caller, new.user_id).await?);
        // Staff add members directly, without an invitation.
        let status = if caller.roles.is_staff() { MemberStatus::Active } else { MemberStatus::Invited };
        let (access, row, role) = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                lock::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::MemberInvite).await?;
                let role = assignable_role(conn, &access, new.role_id).await?;
                if let Some(team) = new.team_id {
                    teams::find(conn, &access, team).await.map_err(as_field("team_id", "Team not found."))?;
                }
                let now = self.core.now();
                let row = member::ActiveModel {
                    id: NotSet,
                    org_id: Set(org),
                    user_id: Set(Some(new.user_id)),
                    role_id: Set(role.id),
                    team_id: Set(new.team_id),
                    leads_team: Set(new.leads_team && new.team_id.is_some()),
                    status: Set(status),
                    created_at: Set(now),
                    updated_at: Set(now),
                    commission_bp: Set(0),
                    invited_by: Set(Some(caller.user)),
                };
                let row = row.insert(conn).await?;
                if status == MemberStatus::Invited {
                    self.send_invitation(conn, (caller, &access), invitee).await?;
                }
                self.core.record_created(conn, (caller, &access), "deals.add_member", &row).await?;
                Ok::<_, Error>((access, row, role))
            })
            .await
            .map_err(|error| error.or_duplicate(&["user_id"], "The user is already a member or invited."))?;
        self.show_member(&access, row, role).await
    }

    async fn member(&self, caller: &Caller, org: OrganizationId, id: MemberId) -> Result<Member> {
        let conn = self.core.db.conn();
        let access = self.core.authorize(conn, caller, org, Permission::MemberRead).await?;
        let (row, role) = find(conn, &access, id).await?;
        self.show_member(&access, row, role).await
    }

    async fn change_member(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: MemberId,
        patch: MemberPatch,
        known: IfMatch,
    ) -> Result<Member> {
        patch.validate()?;
        if matches!(patch.status, Some(MemberStatus::Gone | MemberStatus::Invited)) {
            return Err(Error::field("status", "Choose from: active, deactivated."));
        }
        let (patch, known) = (&patch, &known);
        let (access, row, role) = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                lock::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::MemberRead).await?;
                let (before, old_role) = find(conn, &access, id).await?;
                let changes_team = patch.team_id.is_some() || patch.leads_team.is_some();
                if patch.role_id.is_some() || changes_team || (patch.status.is_none() && patch.commission_bp.is_none())
                {
                    access.may(Permission::MemberUpdate)?;
                }
                if patch.status.is_some() {
                    access.may(Permission::MemberDeactivate)?;
                    if before.status == MemberStatus::Invited {
                        return Err(Error::field("status", "The member has not accepted the invitation yet."));
                    }
                }
                if patch.commission_bp.is_some() {
                    access.may(Permission::CommissionManage)?;
                }
                if id == access.member.id && !access.is_owner() && (changes_team || patch.commission_bp.is_some()) {
                    return Err(Error::Escalation("You cannot change your own team or commission."));
                }
                access.check(known, before.updated_at)?;
                require_rank(&access, &old_role)?;
                let mut after = before.clone();
                let mut role = old_role.clone();
                if let Some(role_id) = patch.role_id.filter(|id| *id != before.role_id) {
                    role = assignable_role(conn, &access, role_id).await?;
                    after.role_id = role_id;
                }
                if let Some(team) = patch.team_id {
                    if let Some(team) = team {
                        teams::find(conn, &access, team).await.map_err(as_field("team_id", "Team not found."))?;
                    }
                    after.team_id = team;
                }
                after.leads_team = patch.leads_team.unwrap_or(after.leads_team) && after.team_id.is_some();
                after.status = patch.status.unwrap_or(after.status);
                after.commission_bp = patch.commission_bp.unwrap_or(after.commission_bp);
                let stays_owner = role.key.as_deref() == Some(OWNER) && after.status == MemberStatus::Active;
                let was_owner = old_role.key.as_deref() == Some(OWNER) && before.status == MemberStatus::Active;
                if was_owner && !stays_owner && other_owners(conn, org, id).await? == 0 {
                    return Err(Error::LastOwner);
                }
                after.updated_at = self.core.now();
                store(conn, &before, &after).await?;
                self.core.record_changed(conn, (caller, &access), "deals.change_member", &before, &after).await?;
                Ok::<_, Error>((access, after, role))
            })
            .await?;
        self.show_member(&access, row, role).await
    }

    async fn remove_member(&self, caller: &Caller, org: OrganizationId, id: MemberId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                lock::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::MemberDelete).await?;
                // Wait for the member's running operations, so that their results are counted.
                lock_to_remove::<member::Entity>(conn, id).await?;
                let (row, role) = find(conn, &access, id).await?;
                access.check(known, row.updated_at)?;
                require_rank(&access, &role)?;
                let is_owner = role.key.as_deref() == Some(OWNER) && row.status == MemberStatus::Active;
                if is_owner && other_owners(conn, org, id).await? == 0 {
                    return Err(Error::LastOwner);
                }
                let blockers = removal_blockers(conn, org, id).await?;
                if !blockers.is_empty() {
                    let detail = "Member is referenced by protected records.";
                    return Err(Error::Protected(detail, blockers, &["reassign", "deactivate"]));
                }
                self.end_membership(conn, &row).await?;
                let detail = vec![("user_id", row.user_id.map(|user| user.0).into())];
                self.core.record(conn, (caller, &access), "deals.remove_member", ("member", id.0), detail).await
            })
            .await
    }

    async fn reassign(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: MemberId,
        reassign: Reassign,
    ) -> Result<Reassigned> {
        reassign.validate()?;
        let reassign = &reassign;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                lock::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::MemberDelete).await?;
                let (row, role) = find(conn, &access, id).await?;
                require_rank(&access, &role)?;
                let successor = access.successor(conn, "to_user_id", reassign.to_user_id).await?;
                access.may_reassign_to(Permission::ClientReassign, successor.id)?;
                access.may_reassign_to(Permission::DealReassign, successor.id)?;
                if successor.id == row.id {
                    return Err(Error::field("to_user_id", "Must be another member."));
                }
                let reassigned = reassign_objects(
                    &tx,
                    org,
                    row.id,
                    successor.id,
                    reassign.include_creator,
                    (Some(caller), self.core.now()),
                )
                .await?;
                let detail = vec![
                    ("to", successor.id.0.into()),
                    ("clients", reassigned.clients.into()),
                    ("deals", reassigned.deals.into()),
                ];
                self.core.record(conn, (caller, &access), "deals.reassign", ("member", id.0), detail).await?;
                Ok(reassigned)
            })
            .await
    }
}

/// Returns the active member who takes over from a leaving one: an owner if there is one, else an admin, else the
/// longest-standing member.
pub(crate) async fn default_successor(
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
