//! What becomes of somebody's things in organizations when their account goes.

use async_trait::async_trait;
use guildhall_kernel::{Blocker, Clock, Error as KernelError, Result, UserId, UserRemoval};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::LockType,
};
use serde_json::json;

use super::{
    SqlDeals, lock, lock_as,
    members::{hand_over, other_owners, successor, things_of},
    number, run,
};
use crate::{
    MemberStatus,
    entity::{member, organization, role},
    permission::OWNER,
};

/// How many of what keeps somebody are named.
const EXAMPLES: usize = 5;
/// How many organizations an export holds.
const MOST_EXPORTED: u64 = 1000;

/// Keeps people whom deals, the ledger or an organization need, unless an heir takes over; then hands over what
/// they own. What only the ledger remembers stays without its name.
#[derive(Clone)]
pub struct Removal {
    clock: Clock,
}

impl Removal {
    /// The domain's say when a person is removed.
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

/// What keeps somebody, over all organizations.
#[derive(Default)]
struct Blockers(Vec<Blocker>);

impl Blockers {
    fn add(&mut self, model: &'static str, count: u64, examples: Vec<String>) {
        match self.0.iter_mut().find(|blocker| blocker.model == model) {
            Some(blocker) => {
                blocker.count += count;
                let room = EXAMPLES.saturating_sub(blocker.examples.len());
                blocker.examples.extend(examples.into_iter().take(room));
            }
            None => self.0.push(Blocker { model, count, examples }),
        }
    }
}

/// Somebody's memberships, each with its organization and role; the organizations locked.
async fn memberships(
    conn: &DatabaseTransaction,
    user: UserId,
) -> crate::Result<Vec<(member::Model, organization::Model, role::Model)>> {
    // What they are doing is waited for, and then counted.
    let theirs = member::Entity::find().filter(member::COLUMN.user_id.eq(user)).order_by_asc(member::Column::Id);
    lock_as(conn, theirs, LockType::Update).await?;
    let found = member::Entity::find()
        .filter(member::COLUMN.user_id.eq(user))
        .find_also_related(organization::Entity)
        .find_also_related(role::Entity)
        .all(conn)
        .await?;
    let mut all = Vec::new();
    for (member, org, role) in found {
        if let (Some(org), Some(role)) = (org, role) {
            lock::<organization::Entity>(conn, org.id).await?;
            all.push((member, org, role));
        }
    }
    Ok(all)
}

/// The heir's own membership, which has to be an active one.
async fn heirs(conn: &DatabaseTransaction, of: &member::Model, heir: UserId) -> crate::Result<Option<member::Model>> {
    let found = super::access::active_members()
        .filter(member::COLUMN.org_id.eq(of.org_id))
        .filter(member::COLUMN.user_id.eq(heir));
    Ok(found.one(conn).await?)
}

#[async_trait]
impl UserRemoval for Removal {
    async fn blockers(&self, conn: &DatabaseTransaction, user: UserId, heir: Option<UserId>) -> Result<Vec<Blocker>> {
        let mut blockers = Blockers::default();
        for (member, org, role) in memberships(conn, user).await? {
            let held = things_of(conn, org.id, member.id).await?;
            let alone = role.key.as_deref() == Some(OWNER)
                && member.status == MemberStatus::Active
                && other_owners(conn, org.id, member.id).await? == 0;
            match heir {
                _ if held.is_empty() && !alone => {}
                Some(heir) => {
                    if heirs(conn, &member, heir).await?.is_none() {
                        let message = format!("They are no active member of {}.", org.name);
                        return Err(KernelError::field("reassign_to", message));
                    }
                }
                None => {
                    if alone {
                        blockers.add("organization", 1, vec![org.name]);
                    }
                    for held in held {
                        blockers.add(held.model, held.count, held.examples);
                    }
                }
            }
        }
        Ok(blockers.0)
    }

    async fn release(&self, conn: &DatabaseTransaction, user: UserId, heir: Option<UserId>) -> Result<()> {
        for (member, org, role) in memberships(conn, user).await? {
            let heir = match heir {
                Some(heir) => heirs(conn, &member, heir).await?,
                None => None,
            };
            let heir = match heir {
                Some(heir) => Some(heir),
                None => successor(conn, org.id, member.id).await?,
            };
            if let Some(heir) = &heir {
                hand_over(conn, org.id, member.id, heir.id, true, (None, self.clock.now())).await?;
                let owns = role.key.as_deref() == Some(OWNER) && member.status == MemberStatus::Active;
                if owns && other_owners(conn, org.id, member.id).await? == 0 {
                    let sql = "UPDATE deals_member SET role_id = $1, updated_at = $2 WHERE org_id = $3 AND id = $4";
                    let values = [role.id.into(), self.clock.now().into(), org.id.into(), heir.id.into()];
                    run(conn, sql, values).await?;
                }
            }
            forget(conn, &member, &self.clock).await?;
        }
        Ok(())
    }

    async fn export(&self, conn: &DatabaseTransaction, user: UserId) -> Result<(&'static str, serde_json::Value)> {
        let found = member::Entity::find()
            .filter(member::COLUMN.user_id.eq(user))
            .limit(MOST_EXPORTED)
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
        let organizations: Vec<_> = found.into_iter().map(show).collect();
        Ok(("deals", json!({ "organizations": organizations })))
    }
}

/// Takes somebody out of an organization; where others remember them their place stays, without them.
async fn forget(conn: &impl ConnectionTrait, row: &member::Model, clock: &Clock) -> crate::Result<()> {
    let remembered = "SELECT CAST(CASE WHEN \
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
    let key = [sea_orm::Value::from(row.org_id), row.id.into()];
    if number(conn, remembered, key.clone()).await? == 0 {
        run(conn, "DELETE FROM deals_member WHERE org_id = $1 AND id = $2", key).await?;
        return Ok(());
    }
    let own = "DELETE FROM deals_view WHERE org_id = $1 AND member_id = $2 AND shared = 'private'";
    run(conn, own, key).await?;
    let sql = "UPDATE deals_member SET user_id = NULL, status = 'gone', team_id = NULL, leads_team = false, \
               updated_at = $3 WHERE org_id = $1 AND id = $2";
    run(conn, sql, [row.org_id.into(), row.id.into(), clock.now().into()]).await?;
    Ok(())
}

impl SqlDeals {
    /// Takes somebody out of an organization whom nothing keeps; what they own goes to its owner.
    pub(super) async fn let_go(&self, conn: &impl ConnectionTrait, row: &member::Model) -> crate::Result<()> {
        if let Some(heir) = successor(conn, row.org_id, row.id).await? {
            hand_over(conn, row.org_id, row.id, heir.id, true, (None, self.now())).await?;
        }
        forget(conn, row, &self.host.clock).await
    }
}
