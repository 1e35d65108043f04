//! What happens to a user's groups and content when their account is removed.

use async_trait::async_trait;
use guildhall_kernel::{
    Blocker, Clock, Result, Timestamp, UserId, UserRemoval,
    db::{self, Snapshot, Tx},
};
use sea_orm::{
    ActiveValue::NotSet,
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use serde_json::json;

use crate::{
    core::{
        counters::{recount_likes, recount_members, recount_posts, recount_reactions, recount_votes},
        rsvps::delete_user_rsvps,
    },
    entity::{
        comment, draft, group,
        membership::{self, Role},
        post,
    },
    id::{CommentId, GroupId, PostId},
};

/// The maximum number of entries of each kind in an export; the API returns the rest page by page.
const MAX_EXPORTED: u64 = 1000;

/// How many groups are transferred in one statement.
const CHUNK: usize = 500;

/// The longest-standing moderator of a group, or else its longest-standing member.
const OLDEST_MEMBER: &str = "(SELECT m.id FROM community_membership m WHERE m.group_id = community_group.id \
     ORDER BY CASE m.role WHEN 'moderator' THEN 0 ELSE 1 END, m.joined_at, m.id LIMIT 1)";

/// Deletes rows that are deleted even if the account only becomes anonymous, and removes the author from the others.
const DELETE_PERSONAL_ROWS: [&str; 11] = [
    "UPDATE community_post SET author_id = NULL WHERE author_id = $1",
    "UPDATE community_comment SET author_id = NULL WHERE author_id = $1",
    "DELETE FROM community_draft WHERE author_id = $1",
    "DELETE FROM community_bookmark WHERE user_id = $1",
    "DELETE FROM community_follow WHERE follower_id = $1",
    "DELETE FROM community_follow WHERE followed_id = $1",
    "DELETE FROM community_mention WHERE user_id = $1",
    "DELETE FROM community_lesson_progress WHERE user_id = $1",
    "DELETE FROM community_enrolment WHERE user_id = $1",
    "DELETE FROM community_join_request WHERE user_id = $1",
    "DELETE FROM community_invite WHERE user_id = $1",
];

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
        Ok(db::scalar(tx, IS_USED, [user.into()]).await?.unwrap_or_default())
    }

    async fn release(&self, conn: &Tx, user: UserId, successor: Option<UserId>) -> Result<()> {
        let by_user = membership::COLUMN.user_id.eq(user);
        // Locked in the same order by everybody: of two members who leave concurrently, the second sees who remains.
        let groups =
            membership::Entity::find().select_only().column(membership::Column::GroupId).filter(by_user.clone());
        let joined = group::Entity::find()
            .select_only()
            .column(group::Column::Id)
            .filter(group::Column::Id.in_subquery(groups.into_query()))
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
        delete_personal_data(conn, user, self.clock.now()).await?;
        for chunk in owned.chunks(CHUNK) {
            match successor {
                Some(successor) => transfer_to(conn, chunk, successor, self.clock.now()).await?,
                None => transfer_to_oldest(conn, chunk).await?,
            }
            recount_members(conn, chunk).await?;
        }
        Ok(())
    }

    async fn export(&self, conn: &Snapshot, user: UserId) -> Result<(&'static str, serde_json::Value)> {
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

/// Makes the successor the owner of these groups, whether they are a member or not.
async fn transfer_to(conn: &Tx, groups: &[GroupId], successor: UserId, now: Timestamp) -> Result<()> {
    let row = |group: &GroupId| membership::ActiveModel {
        id: NotSet,
        group_id: Set(*group),
        user_id: Set(successor),
        role: Set(Role::Owner),
        joined_at: Set(now),
    };
    let promote = OnConflict::columns([membership::Column::GroupId, membership::Column::UserId])
        .update_column(membership::Column::Role)
        .to_owned();
    let rows = membership::Entity::insert_many(groups.iter().map(row)).on_conflict(promote);
    rows.exec_without_returning(conn).await?;
    Ok(())
}

/// Makes the longest-standing moderator, or else the longest-standing member, the owner of these groups.
async fn transfer_to_oldest(conn: &Tx, groups: &[GroupId]) -> Result<()> {
    let oldest = group::Entity::find()
        .select_only()
        .expr(Expr::cust(OLDEST_MEMBER))
        .filter(group::COLUMN.id.is_in(groups.iter().copied()));
    membership::Entity::update_many()
        .col_expr(membership::Column::Role, Expr::value(Role::Owner))
        .filter(membership::Column::Id.in_subquery(oldest.into_query()))
        .exec(conn)
        .await?;
    Ok(())
}

/// Deletes a user's personal data and private posts, and updates the counters. Other posts and comments stay without
/// an author.
async fn delete_personal_data(conn: &Tx, user: UserId, now: Timestamp) -> Result<()> {
    let delete = "DELETE FROM community_reaction WHERE user_id = $1 RETURNING post_id";
    let posts: Vec<PostId> = db::scalars(conn, delete, [user.into()]).await?;
    recount_reactions(conn, &posts).await?;
    let delete = "DELETE FROM community_poll_vote WHERE user_id = $1 RETURNING post_id";
    let polls: Vec<PostId> = db::scalars(conn, delete, [user.into()]).await?;
    recount_votes(conn, &polls).await?;
    let delete = "DELETE FROM community_comment_like WHERE user_id = $1 RETURNING comment_id";
    let comments: Vec<CommentId> = db::scalars(conn, delete, [user.into()]).await?;
    recount_likes(conn, &comments).await?;
    delete_user_rsvps(conn, user, now).await?;
    let delete = "DELETE FROM community_post WHERE author_id = $1 AND visibility = 'private' RETURNING group_id";
    let groups: Vec<Option<GroupId>> = db::scalars(conn, delete, [user.into()]).await?;
    recount_posts(conn, &groups.into_iter().flatten().collect::<Vec<_>>()).await?;
    for statement in DELETE_PERSONAL_ROWS {
        db::execute(&conn.deferred(), statement, [user.into()]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::assert_user_references;

    use super::*;

    #[test]
    fn every_reference_to_a_user_counts_as_use() {
        let references = assert_user_references(concat!(env!("CARGO_MANIFEST_DIR"), "/src/migrations"), IS_USED);
        assert!(references > 20, "{references}");
    }
}
