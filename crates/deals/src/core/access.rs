//! Authorization. Every operation in an organization begins by loading the caller's [`Access`], so no query can skip
//! the permission check.

use std::collections::HashSet;

use guildhall_kernel::{
    Caller, IfMatch, Timestamp, UserId,
    db::{self, Pipeline, QueryTemplate, Tx},
    idempotency::IdempotencyKey,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
    sea_query::{LockType, SelectStatement},
};
use serde_json::Value;

use crate::{
    ClientId, Error, MemberId, MemberStatus, OrganizationId, Result,
    core::{Conn, Core},
    entity::{deal, member, organization, role},
    permission::{Grants, OWNER, Permission, Scope},
};

/// The caller's membership, role and grants in an organization.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) org: organization::Model,
    pub(crate) member: member::Model,
    pub(crate) role: role::Model,
    pub(crate) grants: Grants,
    /// The members covered by the scope `team`; loaded only if a grant has that scope.
    pub(super) teammates: HashSet<MemberId>,
}

/// The members of a team and, if `$3`, of its subteams.
const TEAMMATES: &str = "WITH RECURSIVE covered (id) AS ( \
    SELECT CAST($2 AS bigint) \
    UNION SELECT t.id FROM covered c JOIN deals_team t ON t.org_id = $1 AND t.parent_id = c.id WHERE $3) \
    SELECT id FROM deals_member WHERE org_id = $1 AND team_id IN (SELECT id FROM covered)";

/// The error of a successor or owner who is not in the organization.
pub(crate) const NOT_ACTIVE: &str = "Not an active member of the organization.";

/// What a role grants.
pub(crate) fn grants_of(role: &role::Model) -> Grants {
    if role.key.as_deref() == Some(OWNER) {
        return Grants::everything();
    }
    Grants::stored(&serde_json::from_str::<Vec<&str>>(&role.permissions).unwrap_or_default())
}

/// The scope of an organization's audit log and idempotency keys.
pub(crate) fn scope_of(org: OrganizationId) -> String {
    format!("deals/{org}")
}

/// The active members of all organizations.
pub(crate) fn active_members() -> Select<member::Entity> {
    member::Entity::find().filter(member::COLUMN.status.eq(MemberStatus::Active))
}

/// The active member of an organization with this account.
fn active_member(org: OrganizationId, user: UserId) -> Select<member::Entity> {
    active_members().filter(member::COLUMN.org_id.eq(org)).filter(member::COLUMN.user_id.eq(user))
}

static ACTIVE_MEMBER: QueryTemplate<()> = QueryTemplate::new(|(), ids| {
    let [org, user] = *ids else { return SelectStatement::new() };
    active_member(OrganizationId(org), UserId(user)).into_query()
});

/// An active member with their organization and role.
static MEMBERSHIP: QueryTemplate<()> = QueryTemplate::new(|(), ids| {
    let [org, user] = *ids else { return SelectStatement::new() };
    active_member(OrganizationId(org), UserId(user))
        .find_also_related(organization::Entity)
        .find_also_related(role::Entity)
        .into_query()
});

impl Core {
    /// Loads the caller's access to an organization; not found unless they are an active member.
    pub(crate) async fn access<C: Conn>(&self, conn: &C, caller: &Caller, org: OrganizationId) -> Result<Access> {
        lock_member(conn, caller, org).await?;
        load(conn, caller, org).await
    }

    /// Loads the caller's access together with what `read` reads on the pipeline of this connection. What was read
    /// must be checked against the access.
    pub(crate) async fn access_and<C: Conn, T>(
        &self,
        (conn, pipeline): (&C, &Pipeline<'_>),
        caller: &Caller,
        org: OrganizationId,
        read: impl Future<Output = T>,
    ) -> Result<(Access, T)> {
        lock_member(conn, caller, org).await?;
        let (access, read) = tokio::join!(load(pipeline, caller, org), read);
        Ok((access?, read))
    }

    /// Loads the caller's access together with the stored response of an earlier request with the same key.
    pub(crate) async fn access_and_replay(
        &self,
        tx: &Tx,
        caller: &Caller,
        org: OrganizationId,
        key: Option<&IdempotencyKey>,
    ) -> Result<(Access, guildhall_kernel::Result<Option<Value>>)> {
        let Some(key) = key else { return Ok((self.access(tx, caller, org).await?, Ok(None))) };
        let (pipeline, scope) = (tx.pipeline(), scope_of(org));
        let replay = key.replay(&pipeline, &scope, caller, self.now());
        self.access_and((tx, &pipeline), caller, org, replay).await
    }

    /// Loads the caller's access to an organization and requires a permission.
    pub(crate) async fn authorize<C: Conn>(
        &self,
        conn: &C,
        caller: &Caller,
        org: OrganizationId,
        permission: Permission,
    ) -> Result<Access> {
        let access = self.access(conn, caller, org).await?;
        access.may(permission)?;
        Ok(access)
    }
}

/// Serializes a transaction with the removal of the caller from the organization.
async fn lock_member<C: Conn>(conn: &C, caller: &Caller, org: OrganizationId) -> Result<()> {
    if C::IS_TRANSACTION {
        db::lock_rows(conn, || active_member(org, caller.user), LockType::KeyShare).await?;
    }
    Ok(())
}

async fn load(conn: &impl ConnectionTrait, caller: &Caller, org: OrganizationId) -> Result<Access> {
    let row = MEMBERSHIP.raw_row(conn, &(), &[org.0, caller.user.0]).await?.ok_or(Error::OrganizationNotFound(org))?;
    let member = member::Model::from_query_result(&row, "A_")?;
    let organization = organization::Model::from_query_result(&row, "B_")?;
    let role = role::Model::from_query_result(&row, "C_")?;
    let grants = grants_of(&role);
    let teammates = if grants.has_team_scope() { teammates(conn, &member).await? } else { HashSet::new() };
    Ok(Access { org: organization, member, role, grants, teammates })
}

/// The members of the member's team, and of its subteams if the member leads it.
async fn teammates(conn: &impl ConnectionTrait, member: &member::Model) -> Result<HashSet<MemberId>> {
    let mut teammates = HashSet::from([member.id]);
    if let Some(team) = member.team_id {
        let values = [member.org_id.into(), team.into(), member.leads_team.into()];
        teammates.extend(db::scalars::<MemberId>(conn, TEAMMATES, values).await?);
    }
    Ok(teammates)
}

/// Whether a member with this status and role may see deals, at least their own.
pub(crate) fn reads_deals(status: MemberStatus, role: &role::Model) -> bool {
    status == MemberStatus::Active && grants_of(role).scope(Permission::DealRead).is_some()
}

impl Access {
    /// The access of the creator of an organization, who has no team yet.
    pub(crate) fn new(org: organization::Model, member: member::Model, role: role::Model) -> Self {
        let grants = grants_of(&role);
        Self { org, member, role, grants, teammates: HashSet::new() }
    }

    /// Requires a permission, with any scope.
    pub(crate) fn may(&self, permission: Permission) -> Result<()> {
        match self.grants.scope(permission) {
            Some(_) => Ok(()),
            None => Err(Error::NotGranted(permission.name())),
        }
    }

    /// Requires a permission whose scope covers an object with this owner and creator.
    pub(crate) fn may_with(&self, permission: Permission, owner: MemberId, creator: MemberId) -> Result<()> {
        if self.covers(permission, owner, creator) { Ok(()) } else { Err(Error::NotGranted(permission.name())) }
    }

    /// Whether the scope of a permission covers an object with this owner and creator.
    pub(crate) fn covers(&self, permission: Permission, owner: MemberId, creator: MemberId) -> bool {
        let own = owner == self.member.id || (self.org.creator_keeps_access && creator == self.member.id);
        match self.grants.scope(permission) {
            Some(Scope::All) => true,
            Some(Scope::Team) => own || self.teammates.contains(&owner),
            Some(Scope::Own) => own,
            None => false,
        }
    }

    /// Requires a permission to reassign to another member; with the scope `team`, only to a teammate.
    pub(crate) fn may_reassign_to(&self, permission: Permission, successor: MemberId) -> Result<()> {
        let is_covered = match self.grants.scope(permission) {
            Some(Scope::All) => true,
            Some(Scope::Team) => self.teammates.contains(&successor),
            Some(Scope::Own) => successor == self.member.id,
            None => false,
        };
        if is_covered { Ok(()) } else { Err(Error::NotGranted(permission.name())) }
    }

    /// Whether new subteams would widen what the caller may see.
    pub(crate) fn leads_with_team_scope(&self) -> bool {
        self.member.leads_team && self.grants.has_team_scope()
    }

    pub(crate) fn is_owner(&self) -> bool {
        self.role.key.as_deref() == Some(OWNER)
    }

    /// Requires a permission for every deal of a client, since the operation on the client includes them.
    pub(crate) async fn may_with_deals_of(
        &self,
        conn: &impl ConnectionTrait,
        client: ClientId,
        permission: Permission,
    ) -> Result<()> {
        let not_covered = deal::Entity::find()
            .filter(deal::COLUMN.org_id.eq(self.org.id))
            .filter(deal::COLUMN.client_id.eq(client))
            .filter(deal::COLUMN.deleted_at.is_null())
            .filter(self.deals_in_scope(permission).not());
        match not_covered.select_only().column(deal::Column::Id).into_tuple::<i64>().one(conn).await? {
            Some(_) => Err(Error::NotGranted(permission.name())),
            None => Ok(()),
        }
    }

    /// The members that the scope of a permission covers; `None` for all members.
    pub(crate) fn members_in_scope(&self, permission: Permission) -> Option<Vec<MemberId>> {
        match self.grants.scope(permission) {
            Some(Scope::All) => None,
            Some(Scope::Team) => Some(self.teammates.iter().copied().collect()),
            Some(Scope::Own) => Some(vec![self.member.id]),
            None => Some(Vec::new()),
        }
    }

    /// Returns the active member that something is reassigned to, by the account; `field` names the input in errors.
    pub(crate) async fn successor(&self, tx: &Tx, field: &'static str, user: UserId) -> Result<member::Model> {
        self.lock_successor(tx, user).await?;
        self.find_successor(tx, field, user).await
    }

    /// Locks the member that something is reassigned to, before they are read.
    pub(crate) async fn lock_successor(&self, tx: &Tx, user: UserId) -> Result<()> {
        if self.member.user_id != Some(user) {
            db::lock_rows(tx, || active_member(self.org.id, user), LockType::KeyShare).await?;
        }
        Ok(())
    }

    /// Like [`successor`](Self::successor), for a member who is locked.
    pub(crate) async fn find_successor(
        &self,
        conn: &impl ConnectionTrait,
        field: &'static str,
        user: UserId,
    ) -> Result<member::Model> {
        if self.member.user_id == Some(user) {
            return Ok(self.member.clone());
        }
        let found = ACTIVE_MEMBER.row(conn, &(), &[self.org.id.0, user.0]).await?;
        found.ok_or_else(|| Error::field(field, NOT_ACTIVE))
    }

    /// Those of these members who are active. They cannot be removed until the transaction ends.
    pub(crate) async fn lock_active(
        &self,
        conn: &impl ConnectionTrait,
        ids: impl IntoIterator<Item = MemberId>,
    ) -> Result<HashSet<MemberId>> {
        let ids: HashSet<MemberId> = ids.into_iter().collect();
        if ids.is_empty() {
            return Ok(ids);
        }
        let active =
            active_members().filter(member::COLUMN.org_id.eq(self.org.id)).filter(member::COLUMN.id.is_in(ids));
        db::lock_rows(conn, || active.clone().order_by_asc(member::Column::Id), LockType::KeyShare).await?;
        let active = active.select_only().column(member::Column::Id).into_tuple().all(conn).await?;
        Ok(active.into_iter().collect())
    }

    /// Checks `If-Match` against the current version; some organizations require the header.
    pub(crate) fn check(&self, if_match: &IfMatch, current: Timestamp) -> Result<()> {
        if self.org.requires_if_match && !if_match.is_given() {
            return Err(Error::IfMatchRequired);
        }
        Ok(if_match.check(current)?)
    }

    /// The scope of the organization's audit log and idempotency keys.
    pub(crate) fn scope(&self) -> String {
        scope_of(self.org.id)
    }
}
