//! The removal of a member, and of all memberships of a user whose account is deleted.

use async_trait::async_trait;
use guildhall_kernel::{
    Blocker, Clock, Error as KernelError, Result, UserId, UserRemoval,
    db::{self, Snapshot, Tx},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::LockType};
use serde_json::json;

use crate::{
    MemberStatus, SqlTenancy,
    core::access::active_members,
    entity::{member, organization, role},
    event::DealAccessEnded,
    permission::OWNER,
    tenancy::sql::{
        blockers::{EXAMPLES, account_blockers},
        members::has_other_owner,
        reassign::{Reassignment, default_successor},
    },
};

/// How many organizations an export contains at most.
const MAX_EXPORTED: u64 = 1000;

/// Takes part in the deletion of accounts. Deals, payments, and an organization without another owner are blockers
/// unless there is a successor. What the user owns is reassigned; member rows that records refer to remain without the
/// user.
#[derive(Clone)]
pub struct Removal {
    clock: Clock,
}

impl Removal {
    /// Creates the handler.
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

/// The blockers of all organizations.
#[derive(Default)]
struct Blockers(Vec<Blocker>);

impl Blockers {
    fn add(&mut self, model: &'static str, count: u64, examples: Vec<String>) {
        match self.0.iter_mut().find(|blocker| blocker.model == model) {
            Some(blocker) => {
                blocker.count += count;
                blocker.examples.extend(examples);
                blocker.examples.truncate(EXAMPLES);
            }
            None => self.0.push(Blocker { model, count, examples }),
        }
    }
}

/// Returns the memberships of a user with organizations and roles, and locks the organizations.
async fn memberships(
    conn: &impl ConnectionTrait,
    user: UserId,
) -> crate::Result<Vec<(member::Model, organization::Model, role::Model)>> {
    // Wait for the user's running operations, so that their results are counted.
    let members = member::Entity::find().filter(member::COLUMN.user_id.eq(user)).order_by_asc(member::Column::Id);
    db::lock_rows(conn, || members, LockType::Update).await?;
    let rows = member::Entity::find()
        .filter(member::COLUMN.user_id.eq(user))
        .find_also_related(organization::Entity)
        .find_also_related(role::Entity)
        .all(conn)
        .await?;
    let mut memberships = Vec::new();
    for (member, org, role) in rows {
        if let (Some(org), Some(role)) = (org, role) {
            db::lock::<organization::Entity>(conn, org.id).await?;
            memberships.push((member, org, role));
        }
    }
    Ok(memberships)
}

/// Returns the successor's active membership in the same organization.
async fn find_successor(
    conn: &impl ConnectionTrait,
    leaving: &member::Model,
    successor: UserId,
) -> crate::Result<Option<member::Model>> {
    let select =
        active_members().filter(member::COLUMN.org_id.eq(leaving.org_id)).filter(member::COLUMN.user_id.eq(successor));
    Ok(select.one(conn).await?)
}

#[async_trait]
impl UserRemoval for Removal {
    async fn blockers(&self, tx: &Tx, user: UserId, successor: Option<UserId>) -> Result<Vec<Blocker>> {
        let conn = tx;
        let mut blockers = Blockers::default();
        for (member, org, role) in memberships(conn, user).await? {
            let member_blockers = account_blockers(conn, org.id, member.id).await?;
            let is_last_owner = role.key.as_deref() == Some(OWNER)
                && member.status == MemberStatus::Active
                && !has_other_owner(conn, org.id, member.id).await?;
            match successor {
                _ if member_blockers.is_empty() && !is_last_owner => {}
                Some(successor) => {
                    if find_successor(conn, &member, successor).await?.is_none() {
                        let message = format!("Not an active member of {}.", org.name);
                        return Err(KernelError::field("reassign_to", message));
                    }
                }
                None => {
                    if is_last_owner {
                        blockers.add("organization", 1, vec![org.name]);
                    }
                    for blocker in member_blockers {
                        blockers.add(blocker.model, blocker.count, blocker.examples);
                    }
                }
            }
        }
        Ok(blockers.0)
    }

    async fn is_used(&self, tx: &Tx, user: UserId) -> Result<bool> {
        let membership = member::Entity::find().filter(member::COLUMN.user_id.eq(user));
        Ok(membership.one(tx).await?.is_some())
    }

    async fn release(&self, tx: &Tx, user: UserId, successor: Option<UserId>) -> Result<()> {
        let conn = tx;
        for (member, org, role) in memberships(conn, user).await? {
            let successor = match successor {
                Some(successor) => find_successor(conn, &member, successor).await?,
                None => None,
            };
            let successor = match successor {
                Some(successor) => Some(successor),
                None => default_successor(conn, org.id, member.id).await?,
            };
            if let Some(successor) = &successor {
                let now = self.clock.now();
                let change = Reassignment { org: org.id, from: member.id, to: successor.id, caller: None, now };
                change.apply(conn, true).await?;
                let was_owner = role.key.as_deref() == Some(OWNER) && member.status == MemberStatus::Active;
                if was_owner && !has_other_owner(conn, org.id, member.id).await? {
                    let owner = member::Model { role_id: role.id, updated_at: now, ..successor.clone() };
                    db::store_changes(conn, successor, &owner).await?;
                }
            }
            delete_or_anonymize(conn, &member, &self.clock).await?;
            tx.emit(&DealAccessEnded { organization_id: org.id, user: Some(user) }).await?;
        }
        Ok(())
    }

    async fn export(&self, conn: &Snapshot, user: UserId) -> Result<(&'static str, serde_json::Value)> {
        let rows = member::Entity::find()
            .filter(member::COLUMN.user_id.eq(user))
            .limit(MAX_EXPORTED)
            .find_also_related(organization::Entity)
            .find_also_related(role::Entity)
            .all(conn)
            .await?;
        let show = |(member, org, role): (member::Model, Option<organization::Model>, Option<role::Model>)| {
            json!({
                "id": member.org_id, "name": org.map(|org| org.name), "role": role.map(|role| role.name),
                "status": member.status, "since": member.created_at,
            })
        };
        let organizations: Vec<_> = rows.into_iter().map(show).collect();
        Ok(("deals", json!({ "organizations": organizations })))
    }
}

/// Whether records refer to a member: 1 or 0.
const IS_REFERENCED: &str = "SELECT CAST(CASE WHEN \
    EXISTS (SELECT 1 FROM deals_payment WHERE org_id = $1 AND recorded_by = $2) \
    OR EXISTS (SELECT 1 FROM deals_payment WHERE org_id = $1 AND decided_by = $2) \
    OR EXISTS (SELECT 1 FROM deals_stage_change WHERE org_id = $1 AND moved_by = $2) \
    OR EXISTS (SELECT 1 FROM deals_deletion WHERE org_id = $1 AND deleted_by = $2) \
    OR EXISTS (SELECT 1 FROM deals_commission WHERE org_id = $1 AND member_id = $2) \
    OR EXISTS (SELECT 1 FROM deals_import WHERE org_id = $1 AND created_by = $2) \
    OR EXISTS (SELECT 1 FROM deals_file WHERE org_id = $1 AND added_by = $2) \
    OR EXISTS (SELECT 1 FROM deals_webhook WHERE org_id = $1 AND created_by = $2) \
    OR EXISTS (SELECT 1 FROM deals_activity WHERE org_id = $1 AND created_by = $2) \
    OR EXISTS (SELECT 1 FROM deals_task WHERE org_id = $1 AND (assignee_id = $2 OR created_by = $2)) \
    OR EXISTS (SELECT 1 FROM deals_client WHERE org_id = $1 AND (owner_id = $2 OR created_by = $2)) \
    OR EXISTS (SELECT 1 FROM deals_deal WHERE org_id = $1 AND (owner_id = $2 OR created_by = $2)) \
    THEN 1 ELSE 0 END AS bigint)";
/// The saved views that only the member sees.
const DELETE_PRIVATE_VIEWS: &str = "DELETE FROM deals_view WHERE org_id = $1 AND member_id = $2 AND shared = 'private'";

/// Deletes a member row, or removes the user from it if records refer to it.
async fn delete_or_anonymize(conn: &impl ConnectionTrait, row: &member::Model, clock: &Clock) -> crate::Result<()> {
    let key = [sea_orm::Value::from(row.org_id), row.id.into()];
    if db::scalar::<i64>(conn, IS_REFERENCED, key.clone()).await? == Some(0) {
        member::Entity::delete_by_id(row.id).exec(conn).await?;
        return Ok(());
    }
    db::execute(conn, DELETE_PRIVATE_VIEWS, key).await?;
    let former = member::Model {
        user_id: None,
        status: MemberStatus::Gone,
        team_id: None,
        leads_team: false,
        updated_at: clock.now(),
        ..row.clone()
    };
    db::store_changes(conn, row, &former).await?;
    Ok(())
}

impl SqlTenancy {
    /// Ends a membership without blockers. What the member owns is reassigned to an owner.
    pub(crate) async fn end_membership(&self, tx: &Tx, row: &member::Model) -> crate::Result<()> {
        if let Some(successor) = default_successor(tx, row.org_id, row.id).await? {
            let (org, now) = (row.org_id, self.core.now());
            let change = Reassignment { org, from: row.id, to: successor.id, caller: None, now };
            change.apply(tx, true).await?;
        }
        delete_or_anonymize(tx, row, &self.core.host.clock).await?;
        tx.emit(&DealAccessEnded { organization_id: row.org_id, user: row.user_id }).await?;
        Ok(())
    }
}
