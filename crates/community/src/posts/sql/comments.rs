//! Comments on posts, in threads.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, IfMatch, Keyed, Quota, Timestamp, UserId,
    db::{self, Tx},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IdenStatic, Iterable, PartialModelTrait, QueryFilter,
    QuerySelect, QueryTrait, Select, Set,
    sea_query::{Expr, ExprTrait},
};

use super::{
    SqlPosts,
    access::{group_of, is_moderator, lock_post_for_member},
    content::{filter_readers, store_mentions},
    score::with_comments,
};
use crate::{
    core::{
        moderation_log::ModerationEntry,
        scope::{Viewer, visible_comments, visible_posts},
    },
    entity::{comment, comment_like, mention, post},
    error::{Error, Result},
    event::{CommentChanged, CommentCreated, CommentDeleted},
    id::{CommentId, PostId},
    posts::{Comment, CommentPatch, Comments, NewComment},
};

/// The maximum nesting depth of comments.
const MAX_DEPTH: i64 = 8;

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
    let own_like = comment_like::Entity::find()
        .select_only()
        .expr(Expr::cust("CAST(1 AS bigint)"))
        .filter(
            Expr::col((comment_like::Entity, comment_like::Column::CommentId))
                .eq(Expr::col((comment::Entity, comment::Column::Id))),
        )
        .filter(comment_like::COLUMN.user_id.eq(viewer.id()))
        .into_query();
    CommentRow::select_cols(comments.select_only()).expr_as(Expr::from(own_like), "own_like")
}

async fn store_comment_mentions(
    tx: &Tx,
    post: &post::Model,
    comment: CommentId,
    mentioned: &[UserId],
    now: Timestamp,
) -> Result<()> {
    if mentioned.is_empty() {
        return Ok(());
    }
    let group = group_of(tx, post).await?;
    let readers = filter_readers(tx, mentioned, group.as_ref(), post.visibility).await?;
    store_mentions(tx, post.id, Some(comment), &readers, now).await
}

/// Locks a comment that the caller may read and react to, and its post.
async fn lock_comment_for_member(
    conn: &impl ConnectionTrait,
    caller: &Caller,
    id: CommentId,
) -> Result<(comment::Model, post::Model)> {
    let not_found = || Error::CommentNotFound(id);
    let visible = visible_comments(caller.into()).filter(comment::COLUMN.id.eq(id)).one(conn).await?;
    let visible = visible.ok_or_else(not_found)?;
    // Everybody locks the post before its comments, to avoid deadlocks.
    let post = lock_post_for_member(conn, caller, visible.post_id).await?;
    let comment = comment::Entity::find_by_id(id).lock_exclusive().one(conn).await?.ok_or_else(not_found)?;
    if comment.is_deleted { Err(not_found()) } else { Ok((comment, post)) }
}

async fn add_to_reply_count(conn: &impl ConnectionTrait, parent: CommentId, delta: i64) -> Result<()> {
    comment::Entity::update_many()
        .col_expr(comment::Column::ReplyCount, Expr::col(comment::Column::ReplyCount).add(delta))
        .filter(comment::COLUMN.id.eq(parent))
        .exec(conn)
        .await?;
    Ok(())
}

/// Adds to the comment count of a post, whose row has to be locked.
async fn update_comment_count(conn: &impl ConnectionTrait, post: &post::Model, delta: i64) -> Result<()> {
    Ok(db::store_changes(conn, post, &with_comments(post, post.comment_count + delta)).await?)
}

impl SqlPosts {
    pub(crate) async fn find_comment(&self, viewer: Viewer, id: CommentId) -> Result<Comment> {
        let query = rows_of(visible_comments(viewer).filter(comment::COLUMN.id.eq(id)), viewer);
        let row = query.into_model::<CommentRow>().one(self.core.db.conn()).await?.ok_or(Error::CommentNotFound(id))?;
        self.show_comments(vec![row]).await?.pop().ok_or(Error::CommentNotFound(id))
    }

    async fn show_comments(&self, rows: Vec<CommentRow>) -> Result<Vec<Comment>> {
        let people = self.core.people(rows.iter().filter_map(|comment| comment.row.author_id)).await?;
        let show = |comment: CommentRow| {
            let row = comment.row;
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
                is_liked: comment.own_like.is_some(),
                created_at: row.created_at,
                updated_at: row.updated_at,
            }
        };
        Ok(rows.into_iter().map(show).collect())
    }

    /// Deletes a comment, and logs it unless the caller is the author. The post has to be locked.
    pub(crate) async fn erase_comment(
        &self,
        tx: &Tx,
        caller: &Caller,
        id: CommentId,
        post: &post::Model,
        reason: &str,
    ) -> Result<()> {
        let comment = comment::Entity::find_by_id(id).lock_exclusive().one(tx).await?;
        let comment = comment.filter(|comment| !comment.is_deleted).ok_or(Error::CommentNotFound(id))?;
        if comment.reply_count == 0 {
            comment::Entity::delete_by_id(id).exec(tx).await?;
            if let Some(parent) = comment.parent_id {
                add_to_reply_count(tx, parent, -1).await?;
            }
        } else {
            comment_like::Entity::delete_many().filter(comment_like::COLUMN.comment_id.eq(id)).exec(tx).await?;
            mention::Entity::delete_many().filter(mention::COLUMN.comment_id.eq(id)).exec(tx).await?;
            let after = comment::Model {
                author_id: None,
                content: String::new(),
                content_html: String::new(),
                like_count: 0,
                is_deleted: true,
                updated_at: self.core.now(),
                ..comment.clone()
            };
            db::store_changes(tx, &comment, &after).await?;
        }
        update_comment_count(tx, post, -1).await?;
        let (author, actor) = (comment.author_id, caller.user);
        tx.emit(&CommentDeleted { comment: id, post: post.id, author, actor }).await?;
        if comment.author_id != Some(caller.user) {
            let entry = ModerationEntry {
                group: post.group_id,
                actor: caller.user,
                action: "removed_comment",
                subject: comment.author_id,
                target: format!("comment {id} on post {}", post.id),
                detail: reason,
            };
            self.core.log_moderation(tx, entry).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Comments for SqlPosts {
    async fn create_comment(&self, caller: &Caller, post: PostId, new: NewComment) -> Result<Comment> {
        let id = post;
        new.validate()?;
        let prepared = self.prepare(&new.content).await?;
        let (new, prepared) = (&new, &prepared);
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                let post = lock_post_for_member(conn, caller, id).await?;
                if post.is_locked && !is_moderator(conn, caller, &post).await? {
                    return Err(Error::PostLocked);
                }
                let mut depth = 0;
                if let Some(parent) = new.parent {
                    let found = comment::Entity::find_by_id(parent).filter(comment::COLUMN.post_id.eq(id));
                    let found = found.one(conn).await?.filter(|found| !found.is_deleted);
                    let found = found.ok_or_else(|| Error::field("parent", "Comment not found on this post."))?;
                    depth = found.depth + 1;
                    if depth > MAX_DEPTH {
                        return Err(Error::field(
                            "parent",
                            "This thread is nested too deeply. Reply to a comment further up.",
                        ));
                    }
                    add_to_reply_count(conn, parent, 1).await?;
                }
                let now = self.core.now();
                let quota = Quota::per_day("comments", self.core.settings.comments_per_day.into());
                quota.consume(conn, caller.user, 1, now).await?;
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
                store_comment_mentions(conn, &post, row.id, &prepared.mentioned, now).await?;
                update_comment_count(conn, &post, 1).await?;
                let created = CommentCreated { comment: row.id, post: id, parent: row.parent_id, author: caller.user };
                tx.emit(&created).await?;
                Ok(row)
            })
            .await?;
        self.show_comments(vec![CommentRow { row, own_like: None }]).await?.pop().ok_or(Error::PostNotFound(id))
    }

    async fn comments(
        &self,
        viewer: Option<Caller>,
        post: PostId,
        parent: Option<CommentId>,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Comment>> {
        let caller = viewer;
        let id = post;
        let (viewer, conn) = (self.core.viewer(caller)?, self.core.db.conn());
        let post = visible_posts(viewer).filter(post::COLUMN.id.eq(id)).select_only().column(post::Column::Id);
        post.into_tuple::<PostId>().one(conn).await?.ok_or(Error::PostNotFound(id))?;
        let mut comments = comment::Entity::find().filter(comment::COLUMN.post_id.eq(id));
        if let Some(parent) = parent {
            comments = comments.filter(comment::COLUMN.parent_id.eq(parent));
        }
        let rows =
            cursor.apply(rows_of(comments, viewer), comment::Column::Id).into_model::<CommentRow>().all(conn).await?;
        let (rows, page) = CursorPage::from_rows(rows, Keyed::key, &cursor).split();
        let comments = self.show_comments(rows).await?;
        Ok(page.with_results(comments))
    }

    async fn comment(&self, viewer: Option<Caller>, id: CommentId) -> Result<Comment> {
        self.find_comment(self.core.viewer(viewer)?, id).await
    }

    async fn change_comment(
        &self,
        caller: &Caller,
        id: CommentId,
        patch: CommentPatch,
        known: IfMatch,
    ) -> Result<Comment> {
        patch.validate()?;
        let prepared = self.prepare(&patch.content).await?;
        let (patch, prepared, known) = (&patch, &prepared, &known);
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let (comment, post) = lock_comment_for_member(conn, caller, id).await?;
                if comment.author_id != Some(caller.user) {
                    return Err(Error::NotAuthor);
                }
                if post.is_locked && !is_moderator(conn, caller, &post).await? {
                    return Err(Error::PostLocked);
                }
                known.check(comment.updated_at)?;
                let now = self.core.now();
                mention::Entity::delete_many().filter(mention::COLUMN.comment_id.eq(id)).exec(conn).await?;
                store_comment_mentions(conn, &post, id, &prepared.mentioned, now).await?;
                let after = comment::Model {
                    content: patch.content.clone(),
                    content_html: prepared.html.clone(),
                    updated_at: now,
                    ..comment.clone()
                };
                db::store_changes(conn, &comment, &after).await?;
                tx.emit(&CommentChanged { comment: id, post: post.id }).await?;
                Ok(())
            })
            .await?;
        self.find_comment(caller.into(), id).await
    }

    async fn delete_comment(&self, caller: &Caller, id: CommentId) -> Result<()> {
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let comment = visible_comments(caller.into()).filter(comment::COLUMN.id.eq(id)).one(conn).await?;
                let comment = comment.filter(|comment| !comment.is_deleted).ok_or(Error::CommentNotFound(id))?;
                let post = post::Entity::find_by_id(comment.post_id).lock_exclusive().one(conn).await?;
                let post = post.ok_or(Error::CommentNotFound(id))?;
                let own = comment.author_id == Some(caller.user);
                if !own && !is_moderator(conn, caller, &post).await? {
                    return Err(Error::NotAuthor);
                }
                self.erase_comment(conn, caller, id, &post, "").await
            })
            .await
    }

    async fn like_comment(&self, caller: &Caller, id: CommentId, like: Option<bool>) -> Result<Comment> {
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let (comment, _) = lock_comment_for_member(conn, caller, id).await?;
                let liked = comment_like::Entity::find_by_id((id, caller.user)).one(conn).await?.is_some();
                let like = like.unwrap_or(!liked);
                if like == liked {
                    return Ok(());
                }
                if like {
                    let row = comment_like::ActiveModel {
                        comment_id: Set(id),
                        user_id: Set(caller.user),
                        created_at: Set(self.core.now()),
                    };
                    comment_like::Entity::insert(row).exec_without_returning(conn).await?;
                } else {
                    comment_like::Entity::delete_by_id((id, caller.user)).exec(conn).await?;
                }
                let like_count = comment.like_count + if like { 1 } else { -1 };
                let after = comment::Model { like_count, ..comment.clone() };
                db::store_changes(conn, &comment, &after).await?;
                Ok::<_, Error>(())
            })
            .await?;
        self.find_comment(caller.into(), id).await
    }
}
