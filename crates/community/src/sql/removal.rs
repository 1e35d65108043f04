//! What becomes of groups, and of what somebody wrote, when a person goes.

use async_trait::async_trait;
use guildhall_kernel::{Blocker, Clock, Result, Timestamp, UserId, UserRemoval};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Statement,
    sea_query::{Expr, ExprTrait},
};
use serde_json::json;

use super::{
    counters::{recount_likes, recount_members, recount_posts, recount_reactions, recount_votes},
    rsvps::forget_rsvps,
};
use crate::{
    GroupId, PostId,
    entity::{
        comment, draft, group,
        membership::{self, Role},
        post,
    },
};

/// How much of each kind an export holds: what is more is asked for page by page.
const MOST_EXPORTED: u64 = 1000;

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
        let left = group::Entity::find()
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
        membership::Entity::delete_many().filter(theirs.clone()).exec(conn).await?;
        for chunk in left.chunks(CHUNK) {
            group::Entity::update_many()
                .col_expr(group::Column::MemberCount, Expr::col(group::Column::MemberCount).sub(1))
                .filter(group::COLUMN.id.is_in(chunk.iter().copied()))
                .exec(conn)
                .await?;
        }
        self.forget(conn, user).await?;
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
            recount_members(conn, chunk).await?;
        }
        Ok(())
    }

    async fn export(&self, conn: &DatabaseTransaction, user: UserId) -> Result<(&'static str, serde_json::Value)> {
        let groups: Vec<(GroupId, String, Role, Timestamp)> = membership::Entity::find()
            .select_only()
            .column(membership::Column::GroupId)
            .column(group::Column::Name)
            .column(membership::Column::Role)
            .column(membership::Column::JoinedAt)
            .inner_join(group::Entity)
            .filter(membership::COLUMN.user_id.eq(user))
            .limit(MOST_EXPORTED)
            .into_tuple()
            .all(conn)
            .await?;
        let group = |(id, name, role, joined_at): (GroupId, String, Role, Timestamp)| {
            let role = sea_orm::ActiveEnum::to_value(&role);
            json!({"id": id, "name": name, "role": role, "joined_at": joined_at})
        };
        let posts = post::Entity::find()
            .filter(post::COLUMN.author_id.eq(user))
            .order_by_desc(post::Column::Id)
            .limit(MOST_EXPORTED)
            .all(conn)
            .await?;
        let post = |post: post::Model| {
            json!({
                "id": post.id, "group": post.group_id, "title": post.title, "content": post.content,
                "created_at": post.created_at,
            })
        };
        let comments = comment::Entity::find()
            .filter(comment::COLUMN.author_id.eq(user))
            .order_by_desc(comment::Column::Id)
            .limit(MOST_EXPORTED)
            .all(conn)
            .await?;
        let comment = |comment: comment::Model| {
            json!({
                "id": comment.id, "post": comment.post_id, "content": comment.content,
                "created_at": comment.created_at,
            })
        };
        let drafts = draft::Entity::find().filter(draft::COLUMN.author_id.eq(user)).limit(MOST_EXPORTED);
        let drafts: Vec<serde_json::Value> =
            drafts.all(conn).await?.iter().map(|draft| serde_json::from_str(&draft.body).unwrap_or_default()).collect();
        let kept = json!({
            "groups": groups.into_iter().map(group).collect::<Vec<_>>(),
            "posts": posts.into_iter().map(post).collect::<Vec<_>>(),
            "comments": comments.into_iter().map(comment).collect::<Vec<_>>(),
            "drafts": drafts,
        });
        Ok(("community", kept))
    }
}

/// What goes with a person, also where their account stays without a name.
const THEIRS: &[(&str, &str)] = &[
    ("community_draft", "author_id"),
    ("community_bookmark", "user_id"),
    ("community_follow", "follower_id"),
    ("community_follow", "followed_id"),
    ("community_mention", "user_id"),
    ("community_lesson_progress", "user_id"),
    ("community_enrolment", "user_id"),
    ("community_join_request", "user_id"),
    ("community_invite", "user_id"),
];

impl Removal {
    /// Forgets what somebody made of things, with the counters that it was in; what they wrote stays without
    /// its author, but for what only they could read.
    async fn forget(&self, conn: &DatabaseTransaction, user: UserId) -> Result<()> {
        let posts = gone(conn, "DELETE FROM community_reaction WHERE user_id = $1 RETURNING post_id", user).await?;
        recount_reactions(conn, &posts.into_iter().map(PostId).collect::<Vec<_>>()).await?;
        let polls = gone(conn, "DELETE FROM community_poll_vote WHERE user_id = $1 RETURNING post_id", user).await?;
        recount_votes(conn, &polls.into_iter().map(PostId).collect::<Vec<_>>()).await?;
        let liked =
            gone(conn, "DELETE FROM community_comment_like WHERE user_id = $1 RETURNING comment_id", user).await?;
        recount_likes(conn, &liked).await?;
        forget_rsvps(conn, user, self.clock.now()).await?;
        let private = "DELETE FROM community_post WHERE author_id = $1 AND visibility = 'private' \
                       RETURNING COALESCE(group_id, 0)";
        let groups: Vec<GroupId> = gone(conn, private, user).await?.into_iter().map(GroupId).collect();
        recount_posts(conn, &groups).await?;
        let backend = conn.get_database_backend();
        for (table, column) in [("community_post", "author_id"), ("community_comment", "author_id")] {
            let sql = format!("UPDATE {table} SET {column} = NULL WHERE {column} = $1");
            conn.execute_raw(Statement::from_sql_and_values(backend, sql, [user.into()])).await?;
        }
        for (table, column) in THEIRS {
            let sql = format!("DELETE FROM {table} WHERE {column} = $1");
            conn.execute_raw(Statement::from_sql_and_values(backend, sql, [user.into()])).await?;
        }
        Ok(())
    }
}

/// Removes rows of a person, and tells the number in each.
async fn gone(conn: &DatabaseTransaction, sql: &str, user: UserId) -> Result<Vec<i64>> {
    let delete = Statement::from_sql_and_values(conn.get_database_backend(), sql, [user.into()]);
    let mut numbers = Vec::new();
    for row in conn.query_all_raw(delete).await? {
        numbers.push(row.try_get_by_index(0)?);
    }
    Ok(numbers)
}
