//! The review queue of a group.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Ordering, Page, PageQuery};
use sea_orm::{ActiveValue::Unchanged, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set, sea_query::Expr};

use super::{
    GroupAccess, ModerationEntry, SqlCommunity,
    posts::{add_to_post_count, is_counted, lock_group_of},
    scope::{Viewer, visible_posts},
};
use crate::{Error, GroupId, Post, PostId, Result, ReviewQueue, entity::post, event::PostApproved};

#[async_trait]
impl ReviewQueue for SqlCommunity {
    async fn queue(&self, caller: &Caller, group: GroupId, page: PageQuery) -> Result<Page<Post>> {
        GroupAccess::load(self.db.conn(), caller, group).await?.require_moderator()?;
        let viewer = Viewer::from(caller);
        let pending = visible_posts(viewer)
            .filter(post::COLUMN.group_id.eq(group))
            .filter(Expr::cust("NOT community_post.is_approved"));
        let ordering = Ordering { fields: &[("id", post::Column::Id)], default: "id", id: post::Column::Id };
        self.page_of_posts(pending, &ordering, &page, viewer).await
    }

    async fn decide_post(&self, caller: &Caller, id: PostId, approve: bool) -> Result<()> {
        self.db
            .write(|tx| async move {
                let conn = &tx;
                lock_group_of(conn, id).await?;
                let post =
                    visible_posts(caller.into()).filter(post::COLUMN.id.eq(id)).lock_exclusive().one(conn).await?;
                let post = post.ok_or(Error::PostNotFound(id))?;
                let group = post.group_id.ok_or(Error::AlreadyDecided)?;
                GroupAccess::load(conn, caller, group).await?.require_moderator()?;
                if post.is_approved {
                    return Err(Error::AlreadyDecided);
                }
                if !approve {
                    return self.erase_post(conn, caller, &post, "").await;
                }
                let row = post::ActiveModel { id: Unchanged(id), is_approved: Set(true), ..Default::default() };
                post::Entity::update(row).exec_without_returning(conn).await?;
                if is_counted(true, post.visibility) {
                    add_to_post_count(conn, group, 1).await?;
                }
                let (author, actor) = (post.author_id, caller.user);
                tx.emit(&PostApproved { post: id, group, author, actor }).await?;
                let entry = ModerationEntry {
                    group: Some(group),
                    actor: caller.user,
                    action: "approved_post",
                    subject: post.author_id,
                    target: format!("post {id}"),
                    detail: &post.title,
                };
                Ok(self.log_moderation(conn, entry).await?)
            })
            .await
    }
}
