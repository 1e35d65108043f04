//! Previews of the pages that posts point at, read after the post is stored.

use std::time::Duration;

use guildhall_kernel::{
    Timestamp,
    web::{Unreached, Web},
};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};

use super::SqlCommunity;
use crate::{Result, entity::link_preview, preview};

/// How long whoever reads a page may take before somebody else tries.
const LEASE: Duration = Duration::from_secs(60);
/// The pause after the first failure; each one after it is ten times as long.
const PAUSE: Duration = Duration::from_secs(60);
/// How often a page is tried.
const ATTEMPTS: i64 = 3;
/// How many are read at a time.
const BATCH: u64 = 20;

impl SqlCommunity {
    /// Waits until somebody has posted something with links.
    pub async fn previews_wanted(&self) {
        self.wake_previews.notified().await;
    }

    /// Reads the pages whose previews are due; gives how many were tried. Of several nodes one takes a page.
    pub async fn fetch_previews(&self) -> Result<u64> {
        let Some(web) = &self.host.web else { return Ok(0) };
        let mut tried = 0;
        loop {
            let due = link_preview::Entity::find()
                .filter(link_preview::COLUMN.next_at.lte(self.host.clock.now()))
                .order_by_asc(link_preview::Column::NextAt)
                .limit(BATCH)
                .all(self.db.conn())
                .await?;
            if due.is_empty() {
                return Ok(tried);
            }
            // All at once: a host that does not answer holds nobody else up.
            let fetched = due.into_iter().map(|link| async move {
                let taken = self.take_link(&link).await?;
                if taken {
                    self.fetch_preview(&**web, link).await?;
                }
                Ok::<_, DbErr>(u64::from(taken))
            });
            for taken in futures_util::future::join_all(fetched).await {
                tried += taken?;
            }
        }
    }

    async fn take_link(&self, link: &link_preview::Model) -> Result<bool, DbErr> {
        let until = self.host.clock.now() + LEASE;
        let taken = self.db.write(|tx| async move {
            link_preview::Entity::update_many()
                .col_expr(link_preview::Column::NextAt, Expr::value(Some(until)))
                .col_expr(link_preview::Column::Attempts, Expr::value(link.attempts + 1))
                .filter(link_preview::COLUMN.post_id.eq(link.post_id))
                .filter(link_preview::COLUMN.position.eq(link.position))
                .filter(link_preview::Column::NextAt.eq(link.next_at))
                .exec(tx.conn())
                .await
        });
        Ok(taken.await?.rows_affected == 1)
    }

    async fn fetch_preview(&self, web: &dyn Web, link: link_preview::Model) -> Result<(), DbErr> {
        let (found, again) = match web.page(&link.url).await {
            Ok(page) => (preview::read(&page.html), None),
            Err(Unreached::ForGood(_)) => (None, None),
            Err(Unreached::ForNow(_)) => (None, self.next_attempt(link.attempts)),
        };
        let (title, description, site) = match found {
            Some(found) => (Some(found.title), Some(found.description), Some(found.site)),
            None => (None, None, None),
        };
        let (link, title, description, site) = (&link, &title, &description, &site);
        self.db
            .write(|tx| async move {
                link_preview::Entity::update_many()
                    .col_expr(link_preview::Column::Title, Expr::value(title.clone()))
                    .col_expr(link_preview::Column::Description, Expr::value(description.clone()))
                    .col_expr(link_preview::Column::Site, Expr::value(site.clone()))
                    .col_expr(link_preview::Column::NextAt, Expr::value(again))
                    .filter(link_preview::COLUMN.post_id.eq(link.post_id))
                    .filter(link_preview::COLUMN.position.eq(link.position))
                    // The text may have been changed meanwhile, and point elsewhere.
                    .filter(link_preview::COLUMN.url.eq(link.url.clone()))
                    .exec(tx.conn())
                    .await
                    .map(|_| ())
            })
            .await
    }

    fn next_attempt(&self, attempts: i64) -> Option<Timestamp> {
        let times = u32::try_from(attempts).unwrap_or(u32::MAX);
        (attempts + 1 < ATTEMPTS).then(|| self.host.clock.now() + PAUSE.saturating_mul(10_u32.saturating_pow(times)))
    }
}
