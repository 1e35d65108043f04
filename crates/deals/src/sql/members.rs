//! Who is in an organization. It is never left without an owner, and nobody raises themselves.

use std::collections::HashMap;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, Timestamp};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, Set, sea_query::Expr,
};

use super::{
    SqlDeals,
    access::{Access, active_members, grants_of},
    as_field,
    changes::Bulk,
    lock, lock_to_remove, number, roles, run, store, teams,
};
use crate::{
    Error, Handover, Holding, Member, MemberId, MemberPatch, MemberStatus, Members, NewMember, NewRole, NewTeam,
    OrganizationId, Reassigned, Result, Role, RoleId, RolePatch, RoleStub, Team, TeamId, TeamPatch,
    entity::{deal, member, organization, payment, role},
    permission::{OWNER, Permission},
};

/// How many of what keeps somebody are named.
const EXAMPLES: u64 = 5;

/// Somebody in the organization.
async fn find(conn: &impl ConnectionTrait, access: &Access, id: MemberId) -> Result<(member::Model, role::Model)> {
    let found = member::Entity::find_by_id(id)
        .filter(member::COLUMN.org_id.eq(access.org.id))
        .filter(member::COLUMN.status.ne(MemberStatus::Gone))
        .find_also_related(role::Entity)
        .one(conn)
        .await?;
    match found {
        Some((member, Some(role))) => Ok((member, role)),
        _ => Err(Error::NotFound("member")),
    }
}

/// How many active owners there are beside somebody.
pub(super) async fn other_owners(conn: &impl ConnectionTrait, org: OrganizationId, member: MemberId) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM deals_member m JOIN deals_role r ON r.id = m.role_id \
               WHERE m.org_id = $1 AND m.status = 'active' AND m.id <> $2 AND r.key = 'owner'";
    number(conn, sql, [org.into(), member.into()]).await
}

/// What keeps somebody in an organization, by how it holds them. The ledger remembers them without.
async fn holdings(conn: &impl ConnectionTrait, org: OrganizationId, id: MemberId) -> Result<Vec<Holding>> {
    let mut blockers = Vec::new();
    for (relation, column) in [("created_by", deal::Column::CreatedBy), ("owner", deal::Column::OwnerId)] {
        blockers.extend(held(conn, live_deals(org).filter(column.eq(id)), relation).await?);
    }
    Ok(blockers)
}

/// The same, each thing counted once.
pub(super) async fn things_of(conn: &impl ConnectionTrait, org: OrganizationId, id: MemberId) -> Result<Vec<Holding>> {
    let either = |one: Expr, other: Expr| Condition::any().add(one).add(other);
    let theirs = either(deal::Column::CreatedBy.eq(id), deal::Column::OwnerId.eq(id));
    let mut things: Vec<Holding> = held(conn, live_deals(org).filter(theirs), "owner").await?.into_iter().collect();
    let theirs = either(payment::Column::RecordedBy.eq(id), payment::Column::DecidedBy.eq(id));
    things.extend(entries(conn, ledger(org).filter(theirs), "recorded_by").await?);
    Ok(things)
}

fn live_deals(org: OrganizationId) -> Select<deal::Entity> {
    deal::Entity::find().filter(deal::COLUMN.org_id.eq(org)).filter(deal::COLUMN.deleted_at.is_null())
}

fn ledger(org: OrganizationId) -> Select<payment::Entity> {
    // Neither those that lie in the trash, with their deals.
    let live = live_deals(org).select_only().column(deal::Column::Id).into_query();
    payment::Entity::find().filter(payment::COLUMN.org_id.eq(org)).filter(payment::Column::DealId.in_subquery(live))
}

/// Entries of the ledger, counted and with examples: `TXN-0001`.
async fn entries(
    conn: &impl ConnectionTrait,
    payments: Select<payment::Entity>,
    relation: &'static str,
) -> Result<Option<Holding>> {
    let first = payments.clone().select_only().column(payment::Column::Code).order_by_asc(payment::Column::Number);
    let examples: Vec<String> = first.limit(EXAMPLES).into_tuple().all(conn).await?;
    if examples.is_empty() {
        return Ok(None);
    }
    Ok(Some(Holding { model: "payment", relation, count: payments.count(conn).await?, examples }))
}

/// Deals, counted and with examples: `DLID0001 - Global Corp`.
async fn held(
    conn: &impl ConnectionTrait,
    deals: Select<deal::Entity>,
    relation: &'static str,
) -> Result<Option<Holding>> {
    let first = deals.clone().order_by_asc(deal::Column::Number).limit(EXAMPLES).all(conn).await?;
    if first.is_empty() {
        return Ok(None);
    }
    let names = super::clients::names(conn, first.iter().map(|deal| deal.client_id)).await?;
    let example = |deal: &deal::Model| match names.get(&deal.client_id) {
        Some(client) => format!("{} - {client}", deal.code),
        None => deal.code.clone(),
    };
    let examples = first.iter().map(example).collect();
    Ok(Some(Holding { model: "deal", relation, count: deals.count(conn).await?, examples }))
}

/// Hands over what somebody owns; what lies in the trash goes along.
pub(super) async fn hand_over(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    from: MemberId,
    to: MemberId,
    include_creator: bool,
    (caller, now): (Option<&Caller>, Timestamp),
) -> Result<Reassigned> {
    let mut moved = Reassigned::default();
    for of_owner in [true, false] {
        if !of_owner && !include_creator {
            continue;
        }
        for (table, kind, owner) in [
            ("deals_task", "task", "assignee_id"),
            ("deals_client", "client", "owner_id"),
            ("deals_deal", "deal", "owner_id"),
        ] {
            let column = if of_owner { owner } else { "created_by" };
            let which = &format!("org_id = $1 AND {column} = $2");
            let values = vec![org.into(), from.into()];
            let change =
                Bulk { action: "deals.reassign", of: (table, kind), column, to: to.0, also: &[], which, values };
            change.note(conn, org, caller, now).await?;
            let sql = format!("UPDATE {table} SET {column} = $3, updated_at = $4 WHERE {which}");
            let rows = run(conn, sql, [org.into(), from.into(), to.into(), now.into()]).await?;
            match kind {
                "client" if of_owner => moved.clients += rows,
                "deal" if of_owner => moved.deals += rows,
                _ => {}
            }
        }
    }
    Ok(moved)
}

impl SqlDeals {
    /// Members as they are shown, in one statement however many there are.
    pub(super) async fn show_members(
        &self,
        access: &Access,
        rows: Vec<(member::Model, Option<role::Model>)>,
    ) -> Result<Vec<Member>> {
        let reached = access.reached_members(Permission::CommissionRead);
        let told =
            |id: MemberId| id == access.member.id || reached.as_ref().is_none_or(|reached| reached.contains(&id));
        let people = self.people(rows.iter().filter_map(|(member, _)| member.user_id)).await?;
        let show = |(row, role): (member::Model, Option<role::Model>)| {
            let role = role?;
            Some(Member {
                id: row.id,
                user: row.user_id.and_then(|user| people.get(&user)).cloned(),
                user_id: row.user_id,
                role: RoleStub { id: role.id, name: role.name },
                team_id: row.team_id,
                leads_team: row.leads_team,
                commission_bp: told(row.id).then_some(row.commission_bp),
                status: row.status,
                created_at: row.created_at,
                updated_at: row.updated_at,
            })
        };
        Ok(rows.into_iter().filter_map(show).collect())
    }

    pub(super) async fn show_member(&self, access: &Access, row: member::Model, role: role::Model) -> Result<Member> {
        let shown = self.show_members(access, vec![(row, Some(role))]).await?;
        shown.into_iter().next().ok_or(Error::NotFound("member"))
    }
}

/// Does the caller's role hold what somebody's holds? Nobody decides about those above them.
fn above(access: &Access, role: &role::Model) -> Result<()> {
    if access.grants.hold(&grants_of(role)) && (role.key.as_deref() != Some(OWNER) || access.is_owner()) {
        Ok(())
    } else {
        Err(Error::Escalation("Their role grants what yours lacks."))
    }
}

/// A role that the caller may give: one that grants no more than theirs.
async fn grantable(conn: &impl ConnectionTrait, access: &Access, id: RoleId) -> Result<role::Model> {
    let role = roles::find(conn, access, id).await.map_err(as_field("role_id", "There is no such role."))?;
    if role.key.as_deref() == Some(OWNER) && !access.is_owner() {
        return Err(Error::Escalation("Only an owner makes others owners."));
    }
    if access.grants.hold(&grants_of(&role)) {
        Ok(role)
    } else {
        Err(Error::Escalation("Nobody gives a role that grants what they lack."))
    }
}

#[async_trait]
impl Members for SqlDeals {
    async fn roles(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Role>> {
        self.list_roles(caller, org, page).await
    }

    async fn create_role(&self, caller: &Caller, org: OrganizationId, new: NewRole) -> Result<Role> {
        new.validate()?;
        self.insert_role(caller, org, &new).await
    }

    async fn role(&self, caller: &Caller, org: OrganizationId, id: RoleId) -> Result<Role> {
        self.find_role(caller, org, id).await
    }

    async fn change_role(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: RoleId,
        patch: RolePatch,
        known: IfMatch,
    ) -> Result<Role> {
        patch.validate()?;
        self.update_role(caller, org, id, &patch, &known).await
    }

    async fn delete_role(&self, caller: &Caller, org: OrganizationId, id: RoleId, known: IfMatch) -> Result<()> {
        self.drop_role(caller, org, id, &known).await
    }

    async fn teams(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Team>> {
        self.list_teams(caller, org, page).await
    }

    async fn create_team(&self, caller: &Caller, org: OrganizationId, new: NewTeam) -> Result<Team> {
        new.validate()?;
        self.insert_team(caller, org, &new).await
    }

    async fn team(&self, caller: &Caller, org: OrganizationId, id: TeamId) -> Result<Team> {
        self.find_team(caller, org, id).await
    }

    async fn change_team(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: TeamId,
        patch: TeamPatch,
        known: IfMatch,
    ) -> Result<Team> {
        patch.validate()?;
        self.update_team(caller, org, id, &patch, &known).await
    }

    async fn delete_team(&self, caller: &Caller, org: OrganizationId, id: TeamId, known: IfMatch) -> Result<()> {
        self.drop_team(caller, org, id, &known).await
    }

    async fn members(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Member>> {
        let conn = self.db.conn();
        let access = self.enter_to(conn, caller, org, Permission::MemberRead).await?;
        let select = member::Entity::find()
            .filter(member::COLUMN.org_id.eq(access.org.id))
            .filter(member::COLUMN.status.ne(MemberStatus::Gone));
        let ordering = Ordering { fields: &[("id", member::Column::Id)], usual: "id", id: member::Column::Id };
        let page = Page::<member::Model>::fetch(select, &ordering, &page, conn).await?;
        let of_org = role::Entity::find().filter(role::COLUMN.org_id.eq(access.org.id)).all(conn).await?;
        let roles: HashMap<RoleId, role::Model> = of_org.into_iter().map(|role| (role.id, role)).collect();
        let (rows, page) = page.take();
        let rows = rows.into_iter().map(|row| (row.clone(), roles.get(&row.role_id).cloned())).collect();
        let members = self.show_members(&access, rows).await?;
        Ok(page.with(|_| members))
    }

    async fn add_member(&self, caller: &Caller, org: OrganizationId, new: NewMember) -> Result<Member> {
        new.validate()?;
        self.enter_to(self.db.conn(), caller, org, Permission::MemberInvite).await?;
        let (new, invited) = (&new, &self.whom_to_invite(caller, new.user_id).await?);
        // Staff looks after organizations as well; everybody else asks.
        let status = if caller.roles.is_staff() { MemberStatus::Active } else { MemberStatus::Invited };
        let (access, row, role) = self
            .act(|tx| async move {
                let conn = tx.conn();
                lock::<organization::Entity>(conn, org).await?;
                let access = self.enter_to(conn, caller, org, Permission::MemberInvite).await?;
                let role = grantable(conn, &access, new.role_id).await?;
                if let Some(team) = new.team_id {
                    let found = teams::find(conn, &access, team).await;
                    found.map_err(as_field("team_id", "There is no such team."))?;
                }
                let now = self.now();
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
                    self.post_invitation(conn, (caller, &access), invited).await?;
                }
                self.made(conn, (caller, &access), "deals.add_member", &row).await?;
                Ok::<_, Error>((access, row, role))
            })
            .await
            .map_err(|error| error.or_duplicate(&["user_id"], "They are in the organization, or invited, already."))?;
        self.show_member(&access, row, role).await
    }

    async fn member(&self, caller: &Caller, org: OrganizationId, id: MemberId) -> Result<Member> {
        let conn = self.db.conn();
        let access = self.enter_to(conn, caller, org, Permission::MemberRead).await?;
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
            .act(|tx| async move {
                let conn = tx.conn();
                lock::<organization::Entity>(conn, org).await?;
                let access = self.enter_to(conn, caller, org, Permission::MemberRead).await?;
                let (before, held) = find(conn, &access, id).await?;
                let moves = patch.team_id.is_some() || patch.leads_team.is_some();
                if patch.role_id.is_some() || moves || (patch.status.is_none() && patch.commission_bp.is_none()) {
                    access.may(Permission::MemberUpdate)?;
                }
                if patch.status.is_some() {
                    access.may(Permission::MemberDeactivate)?;
                    if before.status == MemberStatus::Invited {
                        return Err(Error::field("status", "They have not accepted the invitation."));
                    }
                }
                if patch.commission_bp.is_some() {
                    access.may(Permission::CommissionManage)?;
                }
                if id == access.member.id && !access.is_owner() && (moves || patch.commission_bp.is_some()) {
                    return Err(Error::Escalation("Nobody raises themselves."));
                }
                access.check(known, before.updated_at)?;
                above(&access, &held)?;
                let mut after = before.clone();
                let mut role = held.clone();
                if let Some(wanted) = patch.role_id.filter(|wanted| *wanted != before.role_id) {
                    role = grantable(conn, &access, wanted).await?;
                    after.role_id = wanted;
                }
                if let Some(team) = patch.team_id {
                    if let Some(team) = team {
                        let found = teams::find(conn, &access, team).await;
                        found.map_err(as_field("team_id", "There is no such team."))?;
                    }
                    after.team_id = team;
                }
                after.leads_team = patch.leads_team.unwrap_or(after.leads_team) && after.team_id.is_some();
                after.status = patch.status.unwrap_or(after.status);
                after.commission_bp = patch.commission_bp.unwrap_or(after.commission_bp);
                let stays_owner = role.key.as_deref() == Some(OWNER) && after.status == MemberStatus::Active;
                let was_owner = held.key.as_deref() == Some(OWNER) && before.status == MemberStatus::Active;
                if was_owner && !stays_owner && other_owners(conn, org, id).await? == 0 {
                    return Err(Error::LastOwner);
                }
                after.updated_at = self.now();
                store(conn, &before, &after).await?;
                self.changed(conn, (caller, &access), "deals.change_member", &before, &after).await?;
                Ok::<_, Error>((access, after, role))
            })
            .await?;
        self.show_member(&access, row, role).await
    }

    async fn remove_member(&self, caller: &Caller, org: OrganizationId, id: MemberId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<organization::Entity>(conn, org).await?;
            let access = self.enter_to(conn, caller, org, Permission::MemberDelete).await?;
            // What they are doing is waited for, and then counted.
            lock_to_remove::<member::Entity>(conn, id).await?;
            let (row, role) = find(conn, &access, id).await?;
            access.check(known, row.updated_at)?;
            above(&access, &role)?;
            let is_owner = role.key.as_deref() == Some(OWNER) && row.status == MemberStatus::Active;
            if is_owner && other_owners(conn, org, id).await? == 0 {
                return Err(Error::LastOwner);
            }
            let blockers = holdings(conn, org, id).await?;
            if !blockers.is_empty() {
                let detail = "Member is referenced by protected records.";
                return Err(Error::Protected(detail, blockers, &["reassign", "deactivate"]));
            }
            self.let_go(conn, &row).await?;
            let detail = vec![("user_id", row.user_id.map(|user| user.0).into())];
            self.noted(conn, (caller, &access), "deals.remove_member", ("member", id.0), detail).await
        })
        .await
    }

    async fn reassign(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: MemberId,
        handover: Handover,
    ) -> Result<Reassigned> {
        handover.validate()?;
        let handover = &handover;
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<organization::Entity>(conn, org).await?;
            let access = self.enter_to(conn, caller, org, Permission::MemberDelete).await?;
            let (row, role) = find(conn, &access, id).await?;
            above(&access, &role)?;
            let heir = access.heir(conn, "to_user_id", handover.to_user_id).await?;
            access.may_hand_to(Permission::ClientReassign, heir.id)?;
            access.may_hand_to(Permission::DealReassign, heir.id)?;
            if heir.id == row.id {
                return Err(Error::field("to_user_id", "That is the same person."));
            }
            let moved =
                hand_over(conn, org, row.id, heir.id, handover.include_creator, (Some(caller), self.now())).await?;
            let detail =
                vec![("to", heir.id.0.into()), ("clients", moved.clients.into()), ("deals", moved.deals.into())];
            self.noted(conn, (caller, &access), "deals.reassign", ("member", id.0), detail).await?;
            Ok(moved)
        })
        .await
    }
}

/// The owner of an organization who came first, beside somebody; else whoever came first.
pub(super) async fn successor(
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
