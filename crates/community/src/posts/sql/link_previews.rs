//! Link previews, fetched after a post was stored.

use guildhall_kernel::{
    http::PageFetcher,
    link_preview::{Attempt, LEASE, fetch},
};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};

use super::SqlPosts;
use crate::{entity::link_preview, error::Result};

/// How many pages are fetched concurrently.
const BATCH: u64 = 20;

impl SqlPosts {
    /// Fetches the pages whose previews are due. Returns the number of attempts. Safe to run on several nodes.
    pub(crate) async fn fetch_previews(&self) -> Result<u64> {
        let Some(fetcher) = &self.core.host.page_fetcher else { return Ok(0) };
        let mut attempts = 0;
        loop {
            let due = link_preview::Entity::find()
                .filter(link_preview::COLUMN.next_at.lte(self.core.now()))
                .order_by_asc(link_preview::Column::NextAt)
                .limit(BATCH)
                .all(self.core.db.conn())
                .await?;
            if due.is_empty() {
                return Ok(attempts);
            }
            // Concurrently, so that a slow host does not delay the others.
            let fetches = due.into_iter().map(|link| async move {
                let claimed = self.claim_link(&link).await?;
                if claimed {
                    self.fetch_preview(&**fetcher, link).await?;
                }
                Ok::<_, DbErr>(u64::from(claimed))
            });
            for claimed in futures_util::future::join_all(fetches).await {
                attempts += claimed?;
            }
        }
    }

    async fn claim_link(&self, link: &link_preview::Model) -> Result<bool, DbErr> {
        let until = self.core.now() + LEASE;
        let claim = self.core.write(|tx| async move {
            link_preview::Entity::update_many()
                .col_expr(link_preview::Column::NextAt, Expr::value(Some(until)))
                .col_expr(link_preview::Column::Attempts, Expr::value(link.attempts + 1))
                .filter(link_preview::COLUMN.post_id.eq(link.post_id))
                .filter(link_preview::COLUMN.position.eq(link.position))
                .filter(link_preview::Column::NextAt.eq(link.next_at))
                .exec(&tx)
                .await
        });
        Ok(claim.await?.rows_affected == 1)
    }

    async fn fetch_preview(&self, fetcher: &dyn PageFetcher, link: link_preview::Model) -> Result<(), DbErr> {
        let (preview, next_at) = match fetch(fetcher, &link.url, link.attempts).await {
            Attempt::Found(preview) => (Some(preview), None),
            Attempt::NotAvailable => (None, None),
            Attempt::Retry(pause) => (None, Some(self.core.now() + pause)),
        };
        let (title, description, site) = match preview {
            Some(preview) => (Some(preview.title), Some(preview.description), Some(preview.site)),
            None => (None, None, None),
        };
        let (link, title, description, site) = (&link, &title, &description, &site);
        self.core
            .write(|tx| async move {
                link_preview::Entity::update_many()
                    .col_expr(link_preview::Column::Title, Expr::value(title.clone()))
                    .col_expr(link_preview::Column::Description, Expr::value(description.clone()))
                    .col_expr(link_preview::Column::Site, Expr::value(site.clone()))
                    .col_expr(link_preview::Column::NextAt, Expr::value(next_at))
                    .filter(link_preview::COLUMN.post_id.eq(link.post_id))
                    .filter(link_preview::COLUMN.position.eq(link.position))
                    // The post may have been edited meanwhile and link to another page.
                    .filter(link_preview::COLUMN.url.eq(link.url.clone()))
                    .exec(&tx)
                    .await
                    .map(|_| ())
            })
            .await
    }
}
