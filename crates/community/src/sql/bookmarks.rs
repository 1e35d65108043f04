//! Bookmarks.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait},
};

use super::{
    SqlCommunity,
    scope::{Viewer, visible_posts},
};
use crate::{
    Bookmarks, Post, PostId, Result,
    entity::{bookmark, post},
};

#[async_trait]
impl Bookmarks for SqlCommunity {
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
        let bookmarks = cursor.apply(bookmarks, bookmark::Column::Id).all(self.db.conn()).await?;
        let (bookmarks, page) =
            CursorPage::from_rows(bookmarks, |bookmark: &bookmark::Model| bookmark.id, &cursor).take();
        let ids: Vec<PostId> = bookmarks.iter().map(|bookmark| bookmark.post_id).collect();
        let posts = self.posts_in_order(viewer, &ids).await?;
        Ok(page.with(posts))
    }
}
