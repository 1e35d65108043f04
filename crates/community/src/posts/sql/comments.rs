//! Comments on posts, in threads.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, IfMatch, Keyed, Quota, UserId,
    db::{self, Tx},
};
use sea_orm::{
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IdenStatic, Iterable, PartialModelTrait, QueryFilter,
    QuerySelect, QueryTrait, Select, Set,
    sea_query::{Expr, ExprTrait, LockType},
};

use super::{
    SqlPosts,
    access::{PostAccess, group_of, is_moderator, lock_row},
    content::{filter_members, readers, replace_mentions, store_mentions},
    score::add_to_comment_count,
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

/// The users among these who may read the comments on a post.
async fn readers_of(tx: &Tx, post: &post::Model, users: &[UserId]) -> Result<Vec<UserId>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let pipeline = tx.pipeline();
    let (group, members) =
        tokio::try_join!(group_of(&pipeline, post), filter_members(&pipeline, users, post.group_id))?;
    Ok(readers(users, members, group.as_ref(), post.visibility))
}

/// Locks a comment that the caller may read and react to, and its post.
async fn lock_comment_for_member(tx: &Tx, caller: &Caller, id: CommentId) -> Result<(CommentRow, PostAccess)> {
    let not_found = || Error::CommentNotFound(id);
    let visible = visible_comments(caller.into()).filter(comment::COLUMN.id.eq(id));
    let visible = visible.select_only().column(comment::Column::PostId).into_tuple::<PostId>().one(tx).await?;
    let post = visible.ok_or_else(not_found)?;
    // Everybody locks the post before its comments, to avoid deadlocks.
    lock_row(tx, post).await?;
    db::lock_rows(tx, || comment::Entity::find_by_id(id), LockType::Update).await?;
    let pipeline = tx.pipeline();
    let comment = rows_of(comment::Entity::find_by_id(id), caller.into()).into_model::<CommentRow>();
    let (access, comment) = tokio::join!(PostAccess::load(&pipeline, caller, post), comment.one(&pipeline));
    let (access, comment) = (access?.require_member()?, comment?.ok_or_else(not_found)?);
    if comment.row.is_deleted { Err(not_found()) } else { Ok((comment, access)) }
}

/// The depth of a new comment on a post.
async fn depth_below(conn: &impl ConnectionTrait, post: PostId, parent: Option<CommentId>) -> Result<i64> {
    let Some(parent) = parent else { return Ok(0) };
    let found = comment::Entity::find_by_id(parent)
        .select_only()
        .column(comment::Column::Depth)
        .filter(comment::COLUMN.post_id.eq(post))
        .filter(comment::COLUMN.is_deleted.eq(false));
    let depth: Option<i64> = found.into_tuple().one(conn).await?;
    match depth {
        Some(depth) if depth < MAX_DEPTH => Ok(depth + 1),
        Some(_) => Err(Error::field("parent", "This thread is nested too deeply. Reply to a comment further up.")),
        None => Err(Error::field("parent", "Comment not found on this post.")),
    }
}

async fn add_to_reply_count(tx: &Tx, parent: CommentId, delta: i64) -> Result<()> {
    comment::Entity::update_many()
        .col_expr(comment::Column::ReplyCount, Expr::col(comment::Column::ReplyCount).add(delta))
        .filter(comment::COLUMN.id.eq(parent))
        .exec(&tx.deferred())
        .await?;
    Ok(())
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
            comment::Entity::delete_by_id(id).exec(&tx.deferred()).await?;
            if let Some(parent) = comment.parent_id {
                add_to_reply_count(tx, parent, -1).await?;
            }
        } else {
            let likes = comment_like::Entity::delete_many().filter(comment_like::COLUMN.comment_id.eq(id));
            likes.exec(&tx.deferred()).await?;
            mention::Entity::delete_many().filter(mention::COLUMN.comment_id.eq(id)).exec(&tx.deferred()).await?;
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
        add_to_comment_count(tx, post, -1).await?;
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
                lock_row(&tx, id).await?;
                let now = self.core.now();
                let quota = Quota::per_day("comments", self.core.settings.comments_per_day.into());
                let pipeline = tx.pipeline();
                let (access, depth, quota) = tokio::join!(
                    PostAccess::load(&pipeline, caller, id),
                    depth_below(&pipeline, id, new.parent),
                    quota.consume(&pipeline, caller.user, 1, now),
                );
                let access = access?.require_member()?;
                if access.post.is_locked && !access.is_moderator() {
                    return Err(Error::PostLocked);
                }
                let depth = depth?;
                quota?;
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
                if let Some(parent) = new.parent {
                    add_to_reply_count(&tx, parent, 1).await?;
                }
                add_to_comment_count(&tx, &access.post, 1).await?;
                let row = db::insert(&tx, row).await?;
                let comment = row.id;
                let mentioned = readers_of(&tx, &access.post, &prepared.mentioned).await?;
                store_mentions(&tx, id, Some(comment), &mentioned, now).await?;
                tx.emit(&CommentCreated { comment, post: id, parent: new.parent, author: caller.user }).await?;
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
        let (viewer, pipeline) = (self.core.viewer(caller)?, self.core.pipeline());
        let post = visible_posts(viewer).filter(post::COLUMN.id.eq(id)).select_only().column(post::Column::Id);
        let post = post.into_tuple::<PostId>();
        let mut comments = comment::Entity::find().filter(comment::COLUMN.post_id.eq(id));
        if let Some(parent) = parent {
            comments = comments.filter(comment::COLUMN.parent_id.eq(parent));
        }
        let rows = cursor.apply(rows_of(comments, viewer), comment::Column::Id).into_model::<CommentRow>();
        let (post, rows) = tokio::try_join!(post.one(&pipeline), rows.all(&pipeline))?;
        post.ok_or(Error::PostNotFound(id))?;
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
        let row = self
            .core
            .write(|tx| async move {
                let (comment, access) = lock_comment_for_member(&tx, caller, id).await?;
                let CommentRow { row: comment, own_like } = comment;
                if comment.author_id != Some(caller.user) {
                    return Err(Error::NotAuthor);
                }
                if access.post.is_locked && !access.is_moderator() {
                    return Err(Error::PostLocked);
                }
                known.check(comment.updated_at)?;
                let now = self.core.now();
                let mentioned = readers_of(&tx, &access.post, &prepared.mentioned).await?;
                replace_mentions(&tx, access.post.id, Some(id), &mentioned, now).await?;
                let after = comment::Model {
                    content: patch.content.clone(),
                    content_html: prepared.html.clone(),
                    updated_at: now,
                    ..comment.clone()
                };
                db::store_changes(&tx, &comment, &after).await?;
                tx.emit(&CommentChanged { comment: id, post: after.post_id }).await?;
                Ok(CommentRow { row: after, own_like })
            })
            .await?;
        self.show_comments(vec![row]).await?.pop().ok_or(Error::CommentNotFound(id))
    }

    async fn delete_comment(&self, caller: &Caller, id: CommentId) -> Result<()> {
        self.core
            .write(|tx| async move {
                let comment = visible_comments(caller.into()).filter(comment::COLUMN.id.eq(id)).one(&tx).await?;
                let comment = comment.filter(|comment| !comment.is_deleted).ok_or(Error::CommentNotFound(id))?;
                let post = post::Entity::find_by_id(comment.post_id).lock_exclusive().one(&tx).await?;
                let post = post.ok_or(Error::CommentNotFound(id))?;
                let own = comment.author_id == Some(caller.user);
                if !own && !is_moderator(&tx, caller, &post).await? {
                    return Err(Error::NotAuthor);
                }
                self.erase_comment(&tx, caller, id, &post, "").await
            })
            .await
    }

    async fn like_comment(&self, caller: &Caller, id: CommentId, like: Option<bool>) -> Result<Comment> {
        let row = self
            .core
            .write(|tx| async move {
                let (mut comment, _) = lock_comment_for_member(&tx, caller, id).await?;
                let liked = comment.own_like.is_some();
                let like = like.unwrap_or(!liked);
                if like == liked {
                    return Ok(comment);
                }
                if like {
                    let row = comment_like::ActiveModel {
                        comment_id: Set(id),
                        user_id: Set(caller.user),
                        created_at: Set(self.core.now()),
                    };
                    db::insert_only(&tx.deferred(), row).await?;
                } else {
                    comment_like::Entity::delete_by_id((id, caller.user)).exec(&tx.deferred()).await?;
                }
                comment.own_like = like.then_some(1);
                comment.row.like_count += if like { 1 } else { -1 };
                comment::Entity::update_many()
                    .col_expr(comment::Column::LikeCount, Expr::value(comment.row.like_count))
                    .filter(comment::COLUMN.id.eq(id))
                    .exec(&tx.deferred())
                    .await?;
                Ok::<_, Error>(comment)
            })
            .await?;
        self.show_comments(vec![row]).await?.pop().ok_or(Error::CommentNotFound(id))
    }
}
