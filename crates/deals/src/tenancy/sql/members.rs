//! Members of organizations. An organization always has an active owner, and nobody can extend their own rights.

use std::collections::HashMap;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, db};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};

use crate::{
    Error, Member, MemberId, MemberPatch, MemberStatus, Members, NewMember, OrganizationId, Reassign, Reassigned,
    Result, RoleId, RoleStub, SqlTenancy,
    core::{
        access::{Access, grants_of, reads_deals},
        as_field,
    },
    entity::{member, organization, role},
    event::DealAccessEnded,
    permission::{OWNER, Permission},
    tenancy::sql::{blockers::removal_blockers, reassign::Reassignment, roles, teams},
};

/// How many active owners there are other than a member.
const OTHER_OWNERS: &str = "SELECT COUNT(*) FROM deals_member m JOIN deals_role r ON r.id = m.role_id \
    WHERE m.org_id = $1 AND m.status = 'active' AND m.id <> $2 AND r.key = 'owner'";

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

/// Whether the organization has an active owner other than a member.
pub(crate) async fn has_other_owner(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    member: MemberId,
) -> Result<bool> {
    let owners: Option<i64> = db::scalar(conn, OTHER_OWNERS, [org.into(), member.into()]).await?;
    Ok(owners.is_some_and(|owners| owners > 0))
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
        let (rows, page) = page.split();
        let rows = rows.into_iter().map(|row| (row.clone(), roles.get(&row.role_id).cloned())).collect();
        let members = self.show_members(&access, rows).await?;
        Ok(page.with_results(|_| members))
    }

    async fn add_member(&self, caller: &Caller, org: OrganizationId, new: NewMember) -> Result<Member> {
        new.validate()?;
        self.core.authorize(self.core.db.conn(), caller, org, Permission::MemberInvite).await?;
        let (new, invitee) = (&new, &self.load_invitee(caller, new.user_id).await?);
        // Staff add members directly, without an invitation.
        let status = if caller.roles.is_staff() { MemberStatus::Active } else { MemberStatus::Invited };
        let (access, row, role) = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
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
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
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
                if was_owner && !stays_owner && !has_other_owner(conn, org, id).await? {
                    return Err(Error::LastOwner);
                }
                after.updated_at = self.core.now();
                db::store_changes(conn, &before, &after).await?;
                self.core.record_changed(conn, (caller, &access), "deals.change_member", &before, &after).await?;
                if reads_deals(before.status, &old_role) && !reads_deals(after.status, &role) {
                    tx.emit(&DealAccessEnded { organization_id: org, user: after.user_id }).await?;
                }
                Ok::<_, Error>((access, after, role))
            })
            .await?;
        self.show_member(&access, row, role).await
    }

    async fn remove_member(&self, caller: &Caller, org: OrganizationId, id: MemberId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::MemberDelete).await?;
                // Wait for the member's running operations, so that their results are counted.
                db::lock_to_remove::<member::Entity>(conn, id).await?;
                let (row, role) = find(conn, &access, id).await?;
                access.check(known, row.updated_at)?;
                require_rank(&access, &role)?;
                let is_owner = role.key.as_deref() == Some(OWNER) && row.status == MemberStatus::Active;
                if is_owner && !has_other_owner(conn, org, id).await? {
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
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::MemberDelete).await?;
                let (row, role) = find(conn, &access, id).await?;
                require_rank(&access, &role)?;
                let successor = access.successor(conn, "to_user_id", reassign.to_user_id).await?;
                access.may_reassign_to(Permission::ClientReassign, successor.id)?;
                access.may_reassign_to(Permission::DealReassign, successor.id)?;
                if successor.id == row.id {
                    return Err(Error::field("to_user_id", "Must be another member."));
                }
                let change =
                    Reassignment { org, from: row.id, to: successor.id, caller: Some(caller), now: self.core.now() };
                let reassigned = change.apply(&tx, reassign.include_creator).await?;
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
