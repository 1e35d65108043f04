//! The review queue of a group.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Ordering, Page, PageQuery, db};
use sea_orm::{ColumnTrait, QueryFilter, sea_query::Expr};

use super::SqlModeration;
use crate::{
    core::{
        access::GroupAccess,
        moderation_log::ModerationEntry,
        scope::{Viewer, visible_posts},
    },
    entity::post,
    error::{Error, Result},
    event::PostApproved,
    id::{GroupId, PostId},
    moderation::ReviewQueue,
    posts::{
        Post,
        sql::{
            access::{lock_group_of, lock_readable_post},
            approval::update_post_count,
        },
    },
};

#[async_trait]
impl ReviewQueue for SqlModeration {
    async fn queue(&self, caller: &Caller, group: GroupId, page: PageQuery) -> Result<Page<Post>> {
        GroupAccess::load(self.core.db.conn(), caller, group).await?.require_moderator()?;
        let viewer = Viewer::from(caller);
        let pending = visible_posts(viewer)
            .filter(post::COLUMN.group_id.eq(group))
            .filter(Expr::cust("NOT community_post.is_approved"));
        let ordering = Ordering { fields: &[("id", post::Column::Id)], default: "id", id: post::Column::Id };
        self.posts.page_of_posts(pending, &ordering, &page, viewer).await
    }

    async fn decide_post(&self, caller: &Caller, id: PostId, approve: bool) -> Result<()> {
        self.core
            .write(|tx| async move {
                let conn = &tx;
                lock_group_of(conn, id).await?;
                let post = lock_readable_post(conn, caller, id).await?;
                let group = post.group_id.ok_or(Error::AlreadyDecided)?;
                GroupAccess::load(conn, caller, group).await?.require_moderator()?;
                if post.is_approved {
                    return Err(Error::AlreadyDecided);
                }
                if !approve {
                    return self.posts.erase_post(conn, caller, &post, "").await;
                }
                let after = post::Model { is_approved: true, updated_at: self.core.now(), ..post.clone() };
                db::store_changes(conn, &post, &after).await?;
                update_post_count(conn, &post, &after).await?;
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
                Ok(self.core.log_moderation(conn, entry).await?)
            })
            .await
    }
}
