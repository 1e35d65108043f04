//! Bookmarks.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery};
use sea_orm::{
    ActiveValue::NotSet,
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Set,
    sea_query::{Expr, ExprTrait},
};

use super::{SqlFeed, do_nothing};
use crate::{
    core::scope::{Viewer, visible_posts},
    entity::{bookmark, post},
    error::{Error, Result},
    feed::Bookmarks,
    id::PostId,
    posts::Post,
};

impl SqlFeed {
    /// Adds or removes a bookmark; `None` toggles. Returns whether the post is bookmarked now.
    async fn set_bookmark(&self, caller: &Caller, id: PostId, bookmarked: Option<bool>) -> Result<bool> {
        let user = caller.user;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let own = bookmark::COLUMN.user_id.eq(user).and(bookmark::COLUMN.post_id.eq(id));
                if bookmarked != Some(true) {
                    // A bookmark can be removed even if the post is no longer readable.
                    let deleted = bookmark::Entity::delete_many().filter(own).exec(conn).await?.rows_affected;
                    if deleted > 0 {
                        return Ok(false);
                    }
                }
                let readable = visible_posts(caller.into()).filter(post::COLUMN.id.eq(id));
                let readable = readable.select_only().column(post::Column::Id).into_tuple::<PostId>();
                readable.one(conn).await?.ok_or(Error::PostNotFound(id))?;
                if bookmarked == Some(false) {
                    return Ok(false);
                }
                let row = bookmark::ActiveModel {
                    id: NotSet,
                    user_id: Set(user),
                    post_id: Set(id),
                    created_at: Set(self.core.now()),
                };
                bookmark::Entity::insert(row).on_conflict(do_nothing()).exec_without_returning(conn).await?;
                Ok(true)
            })
            .await
    }
}

#[async_trait]
impl Bookmarks for SqlFeed {
    async fn bookmark(&self, caller: &Caller, id: PostId, bookmarked: bool) -> Result<()> {
        self.set_bookmark(caller, id, Some(bookmarked)).await.map(|_| ())
    }

    async fn toggle_bookmark(&self, caller: &Caller, id: PostId) -> Result<bool> {
        self.set_bookmark(caller, id, None).await
    }

    async fn bookmarks(&self, caller: &Caller, cursor: CursorQuery) -> Result<CursorPage<Post>> {
        let viewer = Viewer::from(caller);
        let of_bookmark =
            Expr::col((post::Entity, post::Column::Id)).eq(Expr::col((bookmark::Entity, bookmark::Column::PostId)));
        let readable = visible_posts(viewer).select_only().expr(Expr::val(1)).filter(of_bookmark).into_query();
        let bookmarks =
            bookmark::Entity::find().filter(bookmark::COLUMN.user_id.eq(caller.user)).filter(Expr::exists(readable));
        let bookmarks = cursor.apply(bookmarks, bookmark::Column::Id).all(self.core.db.conn()).await?;
        let (bookmarks, page) =
            CursorPage::from_rows(bookmarks, |bookmark: &bookmark::Model| bookmark.id, &cursor).split();
        let ids: Vec<PostId> = bookmarks.iter().map(|bookmark| bookmark.post_id).collect();
        let posts = self.posts.posts_in_order(viewer, &ids).await?;
        Ok(page.with_results(posts))
    }
}
