//! Who may do what. Every read and every act in an organization begins here, with the caller's membership as it
//! is at that moment, so that no query forgets who is asking.

use std::collections::{HashMap, HashSet};

use guildhall_kernel::{Caller, IfMatch, Timestamp, UserId};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select,
    sea_query::{Expr, LockType},
};

use super::{Conn, SqlDeals, lock_as};
use crate::{
    ClientId, Error, MemberId, MemberStatus, OrganizationId, Place, Result, TeamId,
    entity::{client, deal, member, organization, role, task, team},
    permission::{Grants, OWNER, Permission, Scope},
};

/// The caller in an organization.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) org: organization::Model,
    pub(super) member: member::Model,
    pub(super) role: role::Model,
    pub(super) grants: Grants,
    /// Whom a scope of `team` reaches; only read where something has that scope.
    teammates: HashSet<MemberId>,
}

/// That what a task is about does not lie in the trash.
pub(super) const IS_ABOUT_SOMETHING: &str = "NOT EXISTS (SELECT 1 FROM deals_deal d \
    WHERE d.org_id = deals_task.org_id AND d.id = deals_task.deal_id AND d.deleted_at IS NOT NULL) \
    AND NOT EXISTS (SELECT 1 FROM deals_client c \
    WHERE c.org_id = deals_task.org_id AND c.id = deals_task.client_id AND c.deleted_at IS NOT NULL)";

/// What a role grants.
pub(super) fn grants_of(role: &role::Model) -> Grants {
    if role.key.as_deref() == Some(OWNER) {
        return Grants::everything();
    }
    Grants::stored(&serde_json::from_str::<Vec<&str>>(&role.permissions).unwrap_or_default())
}

/// Those who are active in an organization, or in any.
pub(super) fn active_members() -> Select<member::Entity> {
    member::Entity::find().filter(member::COLUMN.status.eq(MemberStatus::Active))
}

impl SqlDeals {
    /// The caller in an organization; 404 where they are not in it.
    pub(super) async fn enter<C: Conn>(&self, conn: &C, caller: &Caller, org: OrganizationId) -> Result<Access> {
        if C::IS_ACT {
            // Whoever removes somebody waits for what they are doing, and the other way round.
            let own =
                active_members().filter(member::COLUMN.org_id.eq(org)).filter(member::COLUMN.user_id.eq(caller.user));
            lock_as(conn, own, LockType::KeyShare).await?;
        }
        let found = active_members()
            .filter(member::COLUMN.org_id.eq(org))
            .filter(member::COLUMN.user_id.eq(caller.user))
            .find_also_related(organization::Entity)
            .find_also_related(role::Entity)
            .one(conn)
            .await?;
        let Some((member, Some(organization), Some(role))) = found else {
            return Err(Error::OrganizationNotFound(org));
        };
        let grants = grants_of(&role);
        let teammates = if grants.know_teams() { teammates(conn, &member).await? } else { HashSet::new() };
        Ok(Access { org: organization, member, role, grants, teammates })
    }

    /// The same, and the permission for an act that needs no object.
    pub(super) async fn enter_to<C: Conn>(
        &self,
        conn: &C,
        caller: &Caller,
        org: OrganizationId,
        permission: Permission,
    ) -> Result<Access> {
        let access = self.enter(conn, caller, org).await?;
        access.may(permission)?;
        Ok(access)
    }
}

/// Those of the member's team, and of the teams below it where the member leads it.
async fn teammates(conn: &impl ConnectionTrait, member: &member::Model) -> Result<HashSet<MemberId>> {
    let mut seen = HashSet::from([member.id]);
    let Some(own) = member.team_id else { return Ok(seen) };
    let mut teams = HashSet::from([own]);
    if member.leads_team {
        let all: Vec<(TeamId, Option<TeamId>)> = team::Entity::find()
            .select_only()
            .column(team::Column::Id)
            .column(team::Column::ParentId)
            .filter(team::COLUMN.org_id.eq(member.org_id))
            .into_tuple()
            .all(conn)
            .await?;
        let mut below: HashMap<TeamId, Vec<TeamId>> = HashMap::new();
        for (id, parent) in all {
            if let Some(parent) = parent {
                below.entry(parent).or_default().push(id);
            }
        }
        let mut open = vec![own];
        while let Some(next) = open.pop() {
            open.extend(below.get(&next).into_iter().flatten().filter(|id| teams.insert(**id)));
        }
    }
    let of_teams = member::Entity::find()
        .select_only()
        .column(member::Column::Id)
        .filter(member::COLUMN.org_id.eq(member.org_id))
        .filter(member::COLUMN.team_id.is_in(teams));
    seen.extend(of_teams.into_tuple::<MemberId>().all(conn).await?);
    Ok(seen)
}

/// The columns that say whose a row is.
struct Whose<C> {
    org: C,
    owner: C,
    creator: C,
}

impl Access {
    /// Whoever has just made an organization, in it.
    pub(super) fn of(org: organization::Model, member: member::Model, role: role::Model) -> Self {
        let grants = grants_of(&role);
        Self { org, member, role, grants, teammates: HashSet::new() }
    }

    /// The permission for an act that needs no object, whatever its scope.
    pub(super) fn may(&self, permission: Permission) -> Result<()> {
        match self.grants.scope(permission) {
            Some(_) => Ok(()),
            None => Err(Error::NotGranted(permission.name())),
        }
    }

    /// The permission for an act on what these two own and have made.
    pub(super) fn may_with(&self, permission: Permission, owner: MemberId, creator: MemberId) -> Result<()> {
        let own = owner == self.member.id || (self.org.creator_keeps_access && creator == self.member.id);
        let reached = match self.grants.scope(permission) {
            Some(Scope::All) => true,
            Some(Scope::Team) => own || self.teammates.contains(&owner),
            Some(Scope::Own) => own,
            None => false,
        };
        if reached { Ok(()) } else { Err(Error::NotGranted(permission.name())) }
    }

    /// May they give something to somebody else? Within a team to those of it only.
    pub(super) fn may_hand_to(&self, permission: Permission, heir: MemberId) -> Result<()> {
        let reached = match self.grants.scope(permission) {
            Some(Scope::All) => true,
            Some(Scope::Team) => self.teammates.contains(&heir),
            Some(Scope::Own) => heir == self.member.id,
            None => false,
        };
        if reached { Ok(()) } else { Err(Error::NotGranted(permission.name())) }
    }

    /// Do they see more the more teams there are below theirs?
    pub(super) fn leads_as_far_as_teams(&self) -> bool {
        self.member.leads_team && self.grants.know_teams()
    }

    /// Is it the owner who asks?
    pub(super) fn is_owner(&self) -> bool {
        self.role.key.as_deref() == Some(OWNER)
    }

    /// What of these rows the permission reaches, and nothing of another organization.
    fn reach<C: ColumnTrait>(&self, permission: Permission, whose: &Whose<C>) -> Condition {
        let within = Condition::all().add(whose.org.eq(self.org.id));
        let mut own = Condition::any().add(whose.owner.eq(self.member.id));
        if self.org.creator_keeps_access {
            own = own.add(whose.creator.eq(self.member.id));
        }
        match self.grants.scope(permission) {
            Some(Scope::All) => within,
            Some(Scope::Team) => within.add(own.add(whose.owner.is_in(self.teammates.iter().copied()))),
            Some(Scope::Own) => within.add(own),
            None => within.add(Expr::val(false)),
        }
    }

    /// What is done with a client is done with its deals: with every one of them the caller must be allowed to.
    pub(super) async fn may_with_deals_of(
        &self,
        conn: &impl ConnectionTrait,
        client: ClientId,
        permission: Permission,
    ) -> Result<()> {
        let beyond = deal::Entity::find()
            .filter(deal::COLUMN.org_id.eq(self.org.id))
            .filter(deal::COLUMN.client_id.eq(client))
            .filter(deal::COLUMN.deleted_at.is_null())
            .filter(self.reach_of_deals(permission).not());
        match beyond.select_only().column(deal::Column::Id).into_tuple::<i64>().one(conn).await? {
            Some(_) => Err(Error::NotGranted(permission.name())),
            None => Ok(()),
        }
    }

    /// The clients that the caller may see.
    pub(super) fn clients(&self) -> Select<client::Entity> {
        let whose =
            Whose { org: client::Column::OrgId, owner: client::Column::OwnerId, creator: client::Column::CreatedBy };
        let seen = client::Entity::find().filter(self.reach(Permission::ClientRead, &whose));
        seen.filter(client::COLUMN.deleted_at.is_null())
    }

    /// The deals that the caller may see.
    pub(super) fn deals(&self) -> Select<deal::Entity> {
        self.deals_for(Permission::DealRead)
    }

    /// The deals that a permission reaches.
    pub(super) fn deals_for(&self, permission: Permission) -> Select<deal::Entity> {
        deal::Entity::find().filter(self.reach_of_deals(permission)).filter(deal::COLUMN.deleted_at.is_null())
    }

    /// The same as a condition on deals, wherever they lie.
    pub(super) fn reach_of_deals(&self, permission: Permission) -> Condition {
        let whose = Whose { org: deal::Column::OrgId, owner: deal::Column::OwnerId, creator: deal::Column::CreatedBy };
        self.reach(permission, &whose)
    }

    /// The tasks that a permission reaches: those that somebody has to do, or has made.
    pub(super) fn tasks_for(&self, permission: Permission) -> Select<task::Entity> {
        let whose =
            Whose { org: task::Column::OrgId, owner: task::Column::AssigneeId, creator: task::Column::CreatedBy };
        task::Entity::find().filter(self.reach(permission, &whose)).filter(Expr::cust(IS_ABOUT_SOMETHING))
    }

    /// The members whom a permission reaches; none where that is everybody.
    pub(super) fn reached_members(&self, permission: Permission) -> Option<Vec<MemberId>> {
        match self.grants.scope(permission) {
            Some(Scope::All) => None,
            Some(Scope::Team) => Some(self.teammates.iter().copied().collect()),
            Some(Scope::Own) => Some(vec![self.member.id]),
            None => Some(Vec::new()),
        }
    }

    /// A client that the caller may see.
    pub(super) async fn find_client(&self, conn: &impl ConnectionTrait, id: ClientId) -> Result<client::Model> {
        let found = self.clients().filter(client::COLUMN.id.eq(id)).one(conn).await?;
        found.ok_or(Error::ClientNotFound(id))
    }

    /// A client that the caller may do something with.
    pub(super) async fn client_for(
        &self,
        conn: &impl ConnectionTrait,
        id: ClientId,
        permission: Permission,
    ) -> Result<client::Model> {
        let found = self.find_client(conn, id).await?;
        self.may_with(permission, found.owner_id, found.created_by)?;
        Ok(found)
    }

    /// A deal that the caller may see.
    pub(super) async fn find_deal(&self, conn: &impl ConnectionTrait, at: Place) -> Result<deal::Model> {
        let mut found = self.deals().filter(deal::COLUMN.id.eq(at.deal));
        if let Some(client) = at.client {
            found = found.filter(deal::COLUMN.client_id.eq(client));
        }
        found.one(conn).await?.ok_or(Error::DealNotFound(at.deal))
    }

    /// A deal that the caller may do something with.
    pub(super) async fn deal_for(
        &self,
        conn: &impl ConnectionTrait,
        at: Place,
        permission: Permission,
    ) -> Result<deal::Model> {
        let found = self.find_deal(conn, at).await?;
        self.may_with(permission, found.owner_id, found.created_by)?;
        Ok(found)
    }

    /// The active member with this account, to whom something is to be given.
    pub(super) async fn heir(
        &self,
        conn: &impl ConnectionTrait,
        field: &'static str,
        user: UserId,
    ) -> Result<member::Model> {
        if self.member.user_id == Some(user) {
            return Ok(self.member.clone());
        }
        let found =
            || active_members().filter(member::COLUMN.org_id.eq(self.org.id)).filter(member::COLUMN.user_id.eq(user));
        lock_as(conn, found(), LockType::KeyShare).await?;
        let found = found().one(conn).await?;
        found.ok_or_else(|| Error::field(field, "That is no active member of the organization."))
    }

    /// Is it still a version that the caller knows? Some organizations want it said.
    pub(super) fn check(&self, known: &IfMatch, current: Timestamp) -> Result<()> {
        if self.org.requires_if_match && !known.is_given() {
            return Err(Error::IfMatchRequired);
        }
        Ok(known.check(current)?)
    }

    /// What the organization's log and its idempotency keys stand under.
    pub(super) fn realm(&self) -> String {
        format!("deals/{}", self.org.id)
    }
}
