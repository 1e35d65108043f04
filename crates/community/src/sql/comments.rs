//! Comments: what people write about posts, in threads.

use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Keyed, Quota, Slice, SliceQuery, Timestamp, UserId};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Unchanged},
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IdenStatic, Iterable, PartialModelTrait, QueryFilter,
    QuerySelect, QueryTrait, Select, Set,
    sea_query::{Expr, ExprTrait},
};

use super::{
    Moderated, SqlCommunity,
    members::role_of,
    posts::{hot, store_mentions},
    scope::{Viewer, visible_comments, visible_posts},
};
use crate::{
    Comment, CommentId, CommentPatch, Error, NewComment, PostId, Result,
    entity::{comment, comment_like, group, membership::Role, mention, post},
};

/// How many comments can be above one.
const DEEPEST: i64 = 8;

/// A comment, and whether the viewer likes it.
#[derive(Clone, Debug, FromQueryResult)]
struct CommentRow {
    #[sea_orm(nested)]
    row: comment::Model,
    own_like: Option<i64>,
}

impl Keyed for CommentRow {
    fn key(&self) -> i64 {
        self.row.id.0
    }
}

impl PartialModelTrait for CommentRow {
    fn select_cols_nested<S: QuerySelect>(select: S, _: Option<&str>, _: Option<&'static str>) -> S {
        comment::Column::iter().fold(select, |select, column| select.column_as(column.into_expr(), column.as_str()))
    }
}

fn rows_of(comments: Select<comment::Entity>, viewer: Viewer) -> Select<comment::Entity> {
    let own = comment_like::Entity::find()
        .select_only()
        .expr(Expr::cust("CAST(1 AS bigint)"))
        .filter(
            Expr::col((comment_like::Entity, comment_like::Column::CommentId))
                .eq(Expr::col((comment::Entity, comment::Column::Id))),
        )
        .filter(comment_like::COLUMN.user_id.eq(viewer.id()))
        .into_query();
    CommentRow::select_cols(comments.select_only()).expr_as(Expr::from(own), "own_like")
}

impl SqlCommunity {
    pub(super) async fn write_comment(&self, caller: &Caller, id: PostId, new: NewComment) -> Result<Comment> {
        new.validate()?;
        let prepared = self.prepare(&new.content).await?;
        let (new, prepared) = (&new, &prepared);
        let row = self
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                let post = self.post_to_act_on(conn, caller, id).await?;
                if post.is_locked && !self.keeps_order(conn, caller, &post).await? {
                    return Err(Error::PostLocked);
                }
                let mut depth = 0;
                if let Some(parent) = new.parent {
                    let found = comment::Entity::find_by_id(parent).filter(comment::COLUMN.post_id.eq(id));
                    let found = found.one(conn).await?.filter(|found| !found.is_deleted);
                    let found =
                        found.ok_or_else(|| Error::field("parent", "There is no such comment on this post."))?;
                    depth = found.depth + 1;
                    if depth > DEEPEST {
                        return Err(Error::field("parent", "The thread is too deep; answer further up."));
                    }
                    add_replies(conn, parent, 1).await?;
                }
                let now = self.host.clock.now();
                let quota = Quota::per_day("comments", self.settings.comments_per_day.into());
                quota.take(conn, caller.user, 1, now).await?;
                let row = comment::ActiveModel {
                    id: NotSet,
                    post_id: Set(id),
                    parent_id: Set(new.parent),
                    author_id: Set(Some(caller.user)),
                    content: Set(new.content.clone()),
                    content_html: Set(prepared.html.clone()),
                    depth: Set(depth),
                    reply_count: Set(0),
                    like_count: Set(0),
                    is_deleted: Set(false),
                    created_at: Set(now),
                    updated_at: Set(now),
                };
                let row = row.insert(conn).await?;
                self.mention_in(conn, &post, row.id, &prepared.mentioned, now).await?;
                add_comments(conn, &post, 1).await?;
                Ok(row)
            })
            .await?;
        self.show_comments(vec![CommentRow { row, own_like: None }]).await?.pop().ok_or(Error::PostNotFound(id))
    }

    /// Does the caller look after the group that the post is in?
    async fn keeps_order(&self, conn: &impl ConnectionTrait, caller: &Caller, post: &post::Model) -> Result<bool> {
        if caller.roles.is_staff() {
            return Ok(true);
        }
        let Some(group) = post.group_id else { return Ok(false) };
        Ok(role_of(conn, group, caller.user).await?.is_some_and(|role| role != Role::Member))
    }

    async fn mention_in(
        &self,
        conn: &impl ConnectionTrait,
        post: &post::Model,
        comment: CommentId,
        named: &[UserId],
        now: Timestamp,
    ) -> Result<()> {
        if named.is_empty() {
            return Ok(());
        }
        let group = match post.group_id {
            Some(group) => group::Entity::find_by_id(group).one(conn).await?,
            None => None,
        };
        let readers = self.readers_among(conn, named, group.as_ref(), post.visibility).await?;
        store_mentions(conn, post.id, Some(comment), &readers, now).await
    }

    pub(super) async fn read_comments(
        &self,
        caller: Option<Caller>,
        id: PostId,
        parent: Option<CommentId>,
        slice: SliceQuery,
    ) -> Result<Slice<Comment>> {
        let (viewer, conn) = (self.viewer(caller)?, self.db.conn());
        let post = visible_posts(viewer).filter(post::COLUMN.id.eq(id)).select_only().column(post::Column::Id);
        post.into_tuple::<PostId>().one(conn).await?.ok_or(Error::PostNotFound(id))?;
        let mut comments = comment::Entity::find().filter(comment::COLUMN.post_id.eq(id));
        if let Some(parent) = parent {
            comments = comments.filter(comment::COLUMN.parent_id.eq(parent));
        }
        let rows =
            slice.cut(rows_of(comments, viewer), comment::Column::Id).into_model::<CommentRow>().all(conn).await?;
        let (rows, slice) = Slice::of(rows, Keyed::key, &slice).take();
        let comments = self.show_comments(rows).await?;
        Ok(slice.with(comments))
    }

    pub(super) async fn find_comment(&self, viewer: Viewer, id: CommentId) -> Result<Comment> {
        let found = rows_of(visible_comments(viewer).filter(comment::COLUMN.id.eq(id)), viewer);
        let row = found.into_model::<CommentRow>().one(self.db.conn()).await?.ok_or(Error::CommentNotFound(id))?;
        self.show_comments(vec![row]).await?.pop().ok_or(Error::CommentNotFound(id))
    }

    async fn show_comments(&self, rows: Vec<CommentRow>) -> Result<Vec<Comment>> {
        let people = self.people(rows.iter().filter_map(|seen| seen.row.author_id)).await?;
        let show = |seen: CommentRow| {
            let row = seen.row;
            Comment {
                id: row.id,
                post: row.post_id,
                parent: row.parent_id,
                depth: row.depth,
                author: row.author_id.and_then(|id| people.get(&id)).cloned(),
                content: row.content,
                content_html: row.content_html,
                is_deleted: row.is_deleted,
                reply_count: row.reply_count,
                like_count: row.like_count,
                is_liked: seen.own_like.is_some(),
                created_at: row.created_at,
                updated_at: row.updated_at,
            }
        };
        Ok(rows.into_iter().map(show).collect())
    }

    /// A comment that the caller may read and act on, and its post, both locked.
    pub(super) async fn comment_to_act_on(
        &self,
        conn: &impl ConnectionTrait,
        caller: &Caller,
        id: CommentId,
    ) -> Result<(comment::Model, post::Model)> {
        let missing = || Error::CommentNotFound(id);
        let seen = visible_comments(caller.into()).filter(comment::COLUMN.id.eq(id)).one(conn).await?;
        let seen = seen.ok_or_else(missing)?;
        // The post first, as everybody does who changes something about it.
        let post = self.post_to_act_on(conn, caller, seen.post_id).await?;
        let found = comment::Entity::find_by_id(id).lock_exclusive().one(conn).await?.ok_or_else(missing)?;
        if found.is_deleted { Err(missing()) } else { Ok((found, post)) }
    }

    pub(super) async fn rewrite_comment(
        &self,
        caller: &Caller,
        id: CommentId,
        patch: CommentPatch,
        known: IfMatch,
    ) -> Result<Comment> {
        patch.validate()?;
        let prepared = self.prepare(&patch.content).await?;
        let (patch, prepared, known) = (&patch, &prepared, &known);
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let (comment, post) = self.comment_to_act_on(conn, caller, id).await?;
                if comment.author_id != Some(caller.user) {
                    return Err(Error::NotAuthor);
                }
                if post.is_locked && !self.keeps_order(conn, caller, &post).await? {
                    return Err(Error::PostLocked);
                }
                known.check(comment.updated_at)?;
                let now = self.host.clock.now();
                mention::Entity::delete_many().filter(mention::COLUMN.comment_id.eq(id)).exec(conn).await?;
                self.mention_in(conn, &post, id, &prepared.mentioned, now).await?;
                let row = comment::ActiveModel {
                    id: Unchanged(id),
                    content: Set(patch.content.clone()),
                    content_html: Set(prepared.html.clone()),
                    updated_at: Set(now),
                    ..Default::default()
                };
                comment::Entity::update(row).exec_without_returning(conn).await?;
                Ok(())
            })
            .await?;
        self.find_comment(caller.into(), id).await
    }

    pub(super) async fn remove_comment(&self, caller: &Caller, id: CommentId) -> Result<()> {
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let seen = visible_comments(caller.into()).filter(comment::COLUMN.id.eq(id)).one(conn).await?;
                let seen = seen.filter(|seen| !seen.is_deleted).ok_or(Error::CommentNotFound(id))?;
                let post = post::Entity::find_by_id(seen.post_id).lock_exclusive().one(conn).await?;
                let post = post.ok_or(Error::CommentNotFound(id))?;
                let own = seen.author_id == Some(caller.user);
                if !own && !self.keeps_order(conn, caller, &post).await? {
                    return Err(Error::NotAuthor);
                }
                self.erase_comment(conn, caller, id, &post, "").await
            })
            .await
    }

    /// Removes a comment on a post that is locked; notes it where somebody else than its author does so.
    pub(super) async fn erase_comment(
        &self,
        conn: &impl ConnectionTrait,
        caller: &Caller,
        id: CommentId,
        post: &post::Model,
        why: &str,
    ) -> Result<()> {
        let found = comment::Entity::find_by_id(id).lock_exclusive().one(conn).await?;
        let found = found.filter(|found| !found.is_deleted).ok_or(Error::CommentNotFound(id))?;
        if found.reply_count == 0 {
            comment::Entity::delete_by_id(id).exec(conn).await?;
            if let Some(parent) = found.parent_id {
                add_replies(conn, parent, -1).await?;
            }
        } else {
            comment_like::Entity::delete_many().filter(comment_like::COLUMN.comment_id.eq(id)).exec(conn).await?;
            mention::Entity::delete_many().filter(mention::COLUMN.comment_id.eq(id)).exec(conn).await?;
            let row = comment::ActiveModel {
                id: Unchanged(id),
                author_id: Set(None),
                content: Set(String::new()),
                content_html: Set(String::new()),
                like_count: Set(0),
                is_deleted: Set(true),
                updated_at: Set(self.host.clock.now()),
                ..Default::default()
            };
            comment::Entity::update(row).exec_without_returning(conn).await?;
        }
        add_comments(conn, post, -1).await?;
        if found.author_id != Some(caller.user) {
            let act = Moderated {
                group: post.group_id,
                actor: caller.user,
                action: "removed_comment",
                subject: found.author_id,
                target: format!("comment {id} on post {}", post.id),
                detail: why,
            };
            self.note(conn, act).await?;
        }
        Ok(())
    }

    /// Likes a comment, or no longer, or turns that round.
    pub(super) async fn set_like(&self, caller: &Caller, id: CommentId, like: Option<bool>) -> Result<Comment> {
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let (comment, _) = self.comment_to_act_on(conn, caller, id).await?;
                let liked = comment_like::Entity::find_by_id((id, caller.user)).one(conn).await?.is_some();
                let wanted = like.unwrap_or(!liked);
                if wanted == liked {
                    return Ok(());
                }
                if wanted {
                    let row = comment_like::ActiveModel {
                        comment_id: Set(id),
                        user_id: Set(caller.user),
                        created_at: Set(self.host.clock.now()),
                    };
                    comment_like::Entity::insert(row).exec_without_returning(conn).await?;
                } else {
                    comment_like::Entity::delete_by_id((id, caller.user)).exec(conn).await?;
                }
                let row = comment::ActiveModel {
                    id: Unchanged(id),
                    like_count: Set(comment.like_count + if wanted { 1 } else { -1 }),
                    ..Default::default()
                };
                comment::Entity::update(row).exec_without_returning(conn).await?;
                Ok::<_, Error>(())
            })
            .await?;
        self.find_comment(caller.into(), id).await
    }
}

async fn add_replies(conn: &impl ConnectionTrait, parent: CommentId, by: i64) -> Result<()> {
    comment::Entity::update_many()
        .col_expr(comment::Column::ReplyCount, Expr::col(comment::Column::ReplyCount).add(by))
        .filter(comment::COLUMN.id.eq(parent))
        .exec(conn)
        .await?;
    Ok(())
}

/// Counts comments that have come or gone, on a post whose row is locked.
async fn add_comments(conn: &impl ConnectionTrait, post: &post::Model, by: i64) -> Result<()> {
    let comments = post.comment_count + by;
    let reactions = super::feed::counts(&post.reactions).values().sum();
    let row = post::ActiveModel {
        id: Unchanged(post.id),
        comment_count: Set(comments),
        hot: Set(hot(post.created_at, reactions, comments)),
        ..Default::default()
    };
    post::Entity::update(row).exec_without_returning(conn).await?;
    Ok(())
}
