//! Link previews, fetched after a post was stored.

use std::time::Duration;

use guildhall_kernel::{
    Timestamp,
    http::{FetchError, PageFetcher},
};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};

use super::SqlPosts;
use crate::{entity::link_preview, error::Result, posts::preview};

/// How long a worker may take to fetch a page before another worker tries.
const LEASE: Duration = Duration::from_secs(60);
/// The pause after the first failure; it grows tenfold with each further one.
const PAUSE: Duration = Duration::from_secs(60);
/// How often a page is fetched before giving up.
const MAX_ATTEMPTS: i64 = 3;
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
        let (preview, next_at) = match fetcher.fetch_page(&link.url).await {
            Ok(page) => (preview::read(&page.html), None),
            Err(FetchError::Permanent(_)) => (None, None),
            Err(FetchError::Transient(_)) => (None, self.next_attempt(link.attempts)),
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

    fn next_attempt(&self, attempts: i64) -> Option<Timestamp> {
        let times = u32::try_from(attempts).unwrap_or(u32::MAX);
        (attempts + 1 < MAX_ATTEMPTS).then(|| self.core.now() + PAUSE.saturating_mul(10_u32.saturating_pow(times)))
    }
}
