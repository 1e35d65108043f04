//! What happens to a user's groups and content when their account is removed.

use async_trait::async_trait;
use guildhall_kernel::{Blocker, Clock, Result, Timestamp, UserId, UserRemoval, db::Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Statement,
    sea_query::{Expr, ExprTrait},
};
use serde_json::json;

use super::{
    counters::{recount_likes, recount_members, recount_posts, recount_reactions, recount_votes},
    rsvps::delete_user_rsvps,
};
use crate::{
    GroupId, PostId,
    entity::{
        comment, draft, group,
        membership::{self, Role},
        post,
    },
};

/// The maximum number of entries of each kind in an export; the API returns the rest page by page.
const MAX_EXPORTED: u64 = 1000;

/// How many groups are transferred in one statement.
const CHUNK: usize = 500;

/// Makes the longest-standing moderator, or else the longest-standing member, the owner of a group.
const TRANSFER_TO_OLDEST: &str = "UPDATE community_membership SET role = 'owner' WHERE id IN (SELECT \
     (SELECT m.id FROM community_membership m WHERE m.group_id = g.id \
      ORDER BY CASE m.role WHEN 'moderator' THEN 0 ELSE 1 END, m.joined_at, m.id LIMIT 1) \
     FROM community_group g WHERE g.id IN ({groups}))";

/// Makes the successor the owner of a group, whether they are a member or not.
const TRANSFER_TO_SUCCESSOR: &str = "INSERT INTO community_membership (group_id, user_id, role, joined_at) \
     SELECT g.id, {successor}, 'owner', {now} FROM community_group g WHERE g.id IN ({groups}) \
     ON CONFLICT (group_id, user_id) DO UPDATE SET role = 'owner'";

/// Whether any row of this crate references the user. A test compares it with the foreign keys.
const IS_USED: &str = "SELECT \
    EXISTS (SELECT 1 FROM community_membership WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM community_post WHERE author_id = $1) \
    OR EXISTS (SELECT 1 FROM community_comment WHERE author_id = $1) \
    OR EXISTS (SELECT 1 FROM community_group WHERE creator_id = $1) \
    OR EXISTS (SELECT 1 FROM community_reaction WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM community_comment_like WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM community_poll_vote WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM community_bookmark WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM community_mention WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM community_report WHERE reporter_id = $1) \
    OR EXISTS (SELECT 1 FROM community_report WHERE decided_by = $1) \
    OR EXISTS (SELECT 1 FROM community_draft WHERE author_id = $1) \
    OR EXISTS (SELECT 1 FROM community_join_request WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM community_join_request WHERE decided_by = $1) \
    OR EXISTS (SELECT 1 FROM community_invite WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM community_invite WHERE invited_by = $1) \
    OR EXISTS (SELECT 1 FROM community_ban WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM community_ban WHERE banned_by = $1) \
    OR EXISTS (SELECT 1 FROM community_follow WHERE follower_id = $1) \
    OR EXISTS (SELECT 1 FROM community_follow WHERE followed_id = $1) \
    OR EXISTS (SELECT 1 FROM community_moderation WHERE actor_id = $1) \
    OR EXISTS (SELECT 1 FROM community_moderation WHERE subject_id = $1) \
    OR EXISTS (SELECT 1 FROM community_course WHERE author_id = $1) \
    OR EXISTS (SELECT 1 FROM community_enrolment WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM community_lesson_progress WHERE user_id = $1) \
    OR EXISTS (SELECT 1 FROM community_event WHERE creator_id = $1) \
    OR EXISTS (SELECT 1 FROM community_rsvp WHERE user_id = $1)";

/// Transfers the groups of a removed user to the successor, or else to the longest-standing moderator, or else to the
/// longest-standing member. A group without other members stays, without an owner.
#[derive(Clone)]
pub struct Removal {
    clock: Clock,
}

impl Removal {
    /// The handler for removed users.
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

#[async_trait]
impl UserRemoval for Removal {
    async fn blockers(&self, _: &Tx, _: UserId, _: Option<UserId>) -> Result<Vec<Blocker>> {
        Ok(Vec::new())
    }

    async fn is_used(&self, tx: &Tx, user: UserId) -> Result<bool> {
        let statement = Statement::from_sql_and_values(tx.get_database_backend(), IS_USED, [user.into()]);
        let row = tx.query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get_by_index::<bool>(0)).transpose()?.unwrap_or_default())
    }

    async fn release(&self, conn: &Tx, user: UserId, successor: Option<UserId>) -> Result<()> {
        let by_user = membership::COLUMN.user_id.eq(user);
        // Locked in the same order by everybody: of two members who leave concurrently, the second sees who remains.
        let groups =
            membership::Entity::find().select_only().column(membership::Column::GroupId).filter(by_user.clone());
        let joined = group::Entity::find()
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
            .filter(by_user.clone())
            .filter(membership::COLUMN.role.eq(Role::Owner))
            .into_tuple()
            .all(conn)
            .await?;
        membership::Entity::delete_many().filter(by_user.clone()).exec(conn).await?;
        for chunk in joined.chunks(CHUNK) {
            group::Entity::update_many()
                .col_expr(group::Column::MemberCount, Expr::col(group::Column::MemberCount).sub(1))
                .filter(group::COLUMN.id.is_in(chunk.iter().copied()))
                .exec(conn)
                .await?;
        }
        self.delete_personal_data(conn, user).await?;
        for chunk in owned.chunks(CHUNK) {
            let groups: Vec<String> = chunk.iter().map(ToString::to_string).collect();
            let groups = groups.join(", ");
            let sql = match successor {
                None => TRANSFER_TO_OLDEST.replace("{groups}", &groups),
                Some(successor) => {
                    let now = self.clock.now().unix_micros();
                    let sql = TRANSFER_TO_SUCCESSOR.replace("{groups}", &groups);
                    sql.replace("{successor}", &successor.to_string()).replace("{now}", &now.to_string())
                }
            };
            conn.execute_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
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
            .limit(MAX_EXPORTED)
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
            .limit(MAX_EXPORTED)
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
            .limit(MAX_EXPORTED)
            .all(conn)
            .await?;
        let comment = |comment: comment::Model| {
            json!({
                "id": comment.id, "post": comment.post_id, "content": comment.content,
                "created_at": comment.created_at,
            })
        };
        let drafts = draft::Entity::find().filter(draft::COLUMN.author_id.eq(user)).limit(MAX_EXPORTED);
        let drafts: Vec<serde_json::Value> =
            drafts.all(conn).await?.iter().map(|draft| serde_json::from_str(&draft.body).unwrap_or_default()).collect();
        let data = json!({
            "groups": groups.into_iter().map(group).collect::<Vec<_>>(),
            "posts": posts.into_iter().map(post).collect::<Vec<_>>(),
            "comments": comments.into_iter().map(comment).collect::<Vec<_>>(),
            "drafts": drafts,
        });
        Ok(("community", data))
    }
}

/// Rows that are deleted even if the account only becomes anonymous.
const PERSONAL_ROWS: &[(&str, &str)] = &[
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
    /// Deletes a user's personal data and private posts, and updates the counters. Other posts and comments stay
    /// without an author.
    async fn delete_personal_data(&self, conn: &Tx, user: UserId) -> Result<()> {
        let posts =
            delete_returning(conn, "DELETE FROM community_reaction WHERE user_id = $1 RETURNING post_id", user).await?;
        recount_reactions(conn, &posts.into_iter().map(PostId).collect::<Vec<_>>()).await?;
        let polls =
            delete_returning(conn, "DELETE FROM community_poll_vote WHERE user_id = $1 RETURNING post_id", user)
                .await?;
        recount_votes(conn, &polls.into_iter().map(PostId).collect::<Vec<_>>()).await?;
        let liked =
            delete_returning(conn, "DELETE FROM community_comment_like WHERE user_id = $1 RETURNING comment_id", user)
                .await?;
        recount_likes(conn, &liked).await?;
        delete_user_rsvps(conn, user, self.clock.now()).await?;
        let private = "DELETE FROM community_post WHERE author_id = $1 AND visibility = 'private' \
                       RETURNING COALESCE(group_id, 0)";
        let groups: Vec<GroupId> = delete_returning(conn, private, user).await?.into_iter().map(GroupId).collect();
        recount_posts(conn, &groups).await?;
        let backend = conn.get_database_backend();
        for (table, column) in [("community_post", "author_id"), ("community_comment", "author_id")] {
            let sql = format!("UPDATE {table} SET {column} = NULL WHERE {column} = $1");
            conn.execute_raw(Statement::from_sql_and_values(backend, sql, [user.into()])).await?;
        }
        for (table, column) in PERSONAL_ROWS {
            let sql = format!("DELETE FROM {table} WHERE {column} = $1");
            conn.execute_raw(Statement::from_sql_and_values(backend, sql, [user.into()])).await?;
        }
        Ok(())
    }
}

/// Deletes a user's rows and returns the number in each, as given by `RETURNING`.
async fn delete_returning(conn: &impl ConnectionTrait, sql: &str, user: UserId) -> Result<Vec<i64>> {
    let delete = Statement::from_sql_and_values(conn.get_database_backend(), sql, [user.into()]);
    let mut numbers = Vec::new();
    for row in conn.query_all_raw(delete).await? {
        numbers.push(row.try_get_by_index(0)?);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_to_a_user_counts_as_use() {
        let mut references = 0;
        for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/migrations")).unwrap() {
            let path = file.unwrap().path();
            if !path.to_string_lossy().ends_with(".up.sql") {
                continue;
            }
            let sql = std::fs::read_to_string(path).unwrap();
            let constraints = sql.split("CONSTRAINT ").skip(1).filter(|rest| {
                let words: Vec<&str> = rest.split_whitespace().take(3).collect();
                words.get(1..) == Some(&["REFERENCES", "{users}"])
            });
            for constraint in constraints {
                let name = constraint.split_whitespace().next().unwrap().trim_end_matches("_fkey");
                let is_checked = IS_USED.split("SELECT 1 FROM ").skip(1).any(|check| {
                    let words: Vec<&str> = check.split_whitespace().collect();
                    name == format!("{}_{}", words[0], words[2])
                });
                assert!(is_checked, "{name}");
                references += 1;
            }
        }
        assert!(references > 20, "{references}");
    }
}
