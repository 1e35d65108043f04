//! What becomes of groups when a person goes.

use async_trait::async_trait;
use guildhall_kernel::{Blocker, Clock, Result, UserId, UserRemoval};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Statement,
    sea_query::{Expr, ExprTrait},
};
use serde_json::json;

use crate::{
    GroupId,
    entity::{
        group,
        membership::{self, Role},
    },
};

/// How many groups change hands in one statement.
const CHUNK: usize = 500;

/// The oldest moderator of a group, else the oldest member, becomes its owner.
const TO_THE_OLDEST: &str = "UPDATE community_membership SET role = 'owner' WHERE id IN (SELECT \
     (SELECT m.id FROM community_membership m WHERE m.group_id = g.id \
      ORDER BY CASE m.role WHEN 'moderator' THEN 0 ELSE 1 END, m.joined_at, m.id LIMIT 1) \
     FROM community_group g WHERE g.id IN ({groups}))";

/// Somebody becomes the owner of a group, whether they were in it or not.
const TO_THE_HEIR: &str = "INSERT INTO community_membership (group_id, user_id, role, joined_at) \
     SELECT g.id, {heir}, 'owner', {now} FROM community_group g WHERE g.id IN ({groups}) \
     ON CONFLICT (group_id, user_id) DO UPDATE SET role = 'owner'";

/// Hands the groups of a person over who is removed: to the heir, else to the oldest moderator, else to
/// the oldest member. A group in which nobody is left stays, for staff to decide about.
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

#[async_trait]
impl UserRemoval for Removal {
    async fn blockers(&self, _: &DatabaseTransaction, _: UserId, _: Option<UserId>) -> Result<Vec<Blocker>> {
        Ok(Vec::new())
    }

    async fn release(&self, conn: &DatabaseTransaction, user: UserId, heir: Option<UserId>) -> Result<()> {
        let theirs = membership::COLUMN.user_id.eq(user);
        // Locked, in one order for all: of two who leave a group at once the second sees who is left.
        let groups =
            membership::Entity::find().select_only().column(membership::Column::GroupId).filter(theirs.clone());
        group::Entity::find()
            .select_only()
            .column(group::Column::Id)
            .filter(Expr::col(group::Column::Id).in_subquery(groups.into_query()))
            .order_by_asc(group::Column::Id)
            .lock_exclusive()
            .into_tuple::<GroupId>()
            .all(conn)
            .await?;
        let owned: Vec<GroupId> = membership::Entity::find()
            .select_only()
            .column(membership::Column::GroupId)
            .filter(theirs.clone())
            .filter(membership::COLUMN.role.eq(Role::Owner))
            .into_tuple()
            .all(conn)
            .await?;
        membership::Entity::delete_many().filter(theirs).exec(conn).await?;
        for chunk in owned.chunks(CHUNK) {
            let groups: Vec<String> = chunk.iter().map(ToString::to_string).collect();
            let groups = groups.join(", ");
            let step = match heir {
                None => TO_THE_OLDEST.replace("{groups}", &groups),
                Some(heir) => {
                    let now = self.clock.now().unix_micros();
                    let sql = TO_THE_HEIR.replace("{groups}", &groups);
                    sql.replace("{heir}", &heir.to_string()).replace("{now}", &now.to_string())
                }
            };
            conn.execute_raw(Statement::from_string(conn.get_database_backend(), step)).await?;
        }
        Ok(())
    }

    async fn export(&self, conn: &DatabaseTransaction, user: UserId) -> Result<(&'static str, serde_json::Value)> {
        let rows: Vec<(GroupId, String, Role, guildhall_kernel::Timestamp)> = membership::Entity::find()
            .select_only()
            .column(membership::Column::GroupId)
            .column(group::Column::Name)
            .column(membership::Column::Role)
            .column(membership::Column::JoinedAt)
            .inner_join(group::Entity)
            .filter(membership::COLUMN.user_id.eq(user))
            .into_tuple()
            .all(conn)
            .await?;
        let groups: Vec<_> = rows
            .into_iter()
            .map(|(id, name, role, joined_at)| {
                let role = sea_orm::ActiveEnum::to_value(&role);
                json!({"id": id, "name": name, "role": role, "joined_at": joined_at})
            })
            .collect();
        Ok(("groups", json!(groups)))
    }
}
