//! What the host needs to notify users: descriptions of objects, and who may see them. A user's roles do not count:
//! staff are notified of what they may see as members.

use std::collections::HashSet;

use guildhall_kernel::{UserId, db};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, sea_query::Expr};

use crate::{
    core::scope::{self, Viewer},
    entity::{
        group, invite,
        membership::{self, Role},
        post,
    },
    error::Result,
    id::{CommentId, GroupId, PostId},
    sql::SqlCommunity,
};

const POST: &str = "SELECT title, author_id AS author, is_approved FROM community_post WHERE id = $1";
const COMMENT: &str = "SELECT c.author_id AS author, parent.author_id AS parent_author, p.author_id AS post_author, \
    p.title AS post_title FROM community_comment c JOIN community_post p ON p.id = c.post_id \
    LEFT JOIN community_comment parent ON parent.id = c.parent_id WHERE c.id = $1 AND NOT c.is_deleted";
const MENTIONED: &str =
    "SELECT user_id FROM community_mention WHERE post_id = $1 AND comment_id IS NULL ORDER BY user_id";
const GROUP_NAME: &str = "SELECT name FROM community_group WHERE id = $1";
/// Their number is limited.
const MODERATORS: &str =
    "SELECT user_id FROM community_membership WHERE group_id = $1 AND role <> 'member' ORDER BY user_id";

/// What a notification says about a post.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct PostSummary {
    /// The title; may be empty.
    pub title: String,
    /// The author, unless the account was deleted.
    pub author: Option<UserId>,
    /// Whether others than the author and moderators can read it.
    pub is_approved: bool,
}

/// What a notification says about a comment.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct CommentSummary {
    /// The author, unless the account was deleted.
    pub author: Option<UserId>,
    /// The author of the comment that it replies to.
    pub parent_author: Option<UserId>,
    /// The author of the post.
    pub post_author: Option<UserId>,
    /// The title of the post; may be empty.
    pub post_title: String,
}

impl SqlCommunity {
    /// A post, whoever may read it.
    pub async fn post_summary(&self, conn: &impl ConnectionTrait, id: PostId) -> Result<Option<PostSummary>> {
        Ok(db::row(conn, POST, [id.into()]).await?)
    }

    /// A comment that was not deleted, whoever may read it.
    pub async fn comment_summary(&self, conn: &impl ConnectionTrait, id: CommentId) -> Result<Option<CommentSummary>> {
        Ok(db::row(conn, COMMENT, [id.into()]).await?)
    }

    /// The users who are mentioned in a post, without its comments.
    pub async fn mentioned_in_post(&self, conn: &impl ConnectionTrait, id: PostId) -> Result<Vec<UserId>> {
        Ok(db::scalars(conn, MENTIONED, [id.into()]).await?)
    }

    /// The name of a group.
    pub async fn group_name(&self, conn: &impl ConnectionTrait, id: GroupId) -> Result<Option<String>> {
        Ok(db::scalar(conn, GROUP_NAME, [id.into()]).await?)
    }

    /// The owner and the moderators of a group.
    pub async fn moderators_of(&self, conn: &impl ConnectionTrait, id: GroupId) -> Result<Vec<UserId>> {
        Ok(db::scalars(conn, MODERATORS, [id.into()]).await?)
    }

    /// Those of these posts that a user may read.
    pub async fn readable_posts(&self, user: UserId, ids: &[PostId]) -> Result<HashSet<PostId>> {
        let ids = db::pad_ids(ids.iter().map(|id| id.0));
        let readable = scope::visible_posts(Viewer::User(user))
            .filter(post::COLUMN.id.is_in(ids.into_iter().map(PostId)))
            .select_only()
            .column(post::Column::Id);
        Ok(readable.into_tuple().all(self.groups.core.db.conn()).await?.into_iter().collect())
    }

    /// Those of these groups that are visible to a user, or that they have been invited to.
    pub async fn visible_groups(&self, user: UserId, ids: &[GroupId]) -> Result<HashSet<GroupId>> {
        let (core, ids) = (&self.groups.core, db::pad_ids(ids.iter().map(|id| id.0)));
        let ids = || ids.iter().copied().map(GroupId);
        let visible = scope::visible_groups(Viewer::User(user))
            .filter(group::COLUMN.id.is_in(ids()))
            .select_only()
            .column(group::Column::Id);
        let invited = invite::Entity::find()
            .filter(invite::COLUMN.group_id.is_in(ids()))
            .filter(invite::COLUMN.user_id.eq(user))
            .filter(Expr::cust("status = 'pending'"))
            .filter(invite::COLUMN.expires_at.gt(core.now()))
            .select_only()
            .column(invite::Column::GroupId);
        let pipeline = core.pipeline();
        let (visible, invited) =
            tokio::try_join!(visible.into_tuple().all(&pipeline), invited.into_tuple().all(&pipeline))?;
        Ok(visible.into_iter().chain(invited).collect())
    }

    /// Those of these groups of which a user is the owner or a moderator.
    pub async fn moderated_groups(&self, user: UserId, ids: &[GroupId]) -> Result<HashSet<GroupId>> {
        let ids = db::pad_ids(ids.iter().map(|id| id.0));
        let moderated = membership::Entity::find()
            .filter(membership::COLUMN.user_id.eq(user))
            .filter(membership::COLUMN.group_id.is_in(ids.into_iter().map(GroupId)))
            .filter(membership::COLUMN.role.ne(Role::Member))
            .select_only()
            .column(membership::Column::GroupId);
        Ok(moderated.into_tuple().all(self.groups.core.db.conn()).await?.into_iter().collect())
    }
}
