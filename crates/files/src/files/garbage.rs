//! Content that no file uses is deleted.

use std::{io, time::Duration};

use async_trait::async_trait;
use guildhall_kernel::{Result, Timestamp, job::Job};
use sea_orm::{DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};

use super::Files;
use crate::{entity::garbage, store::object_name};

/// The delay after a failed deletion.
const RETRY_DELAY: Duration = Duration::from_secs(3600);
/// How many files are deleted at a time.
const BATCH: u64 = 100;

impl Files {
    /// Deletes unattached content from the store and returns how many files were deleted. A failed deletion is retried
    /// an hour later.
    pub async fn collect(&self) -> Result<u64> {
        let mut collected = 0;
        loop {
            let now = self.shared.clock.now();
            let due = garbage::Entity::find()
                .filter(garbage::COLUMN.due_at.lte(now))
                .order_by_asc(garbage::Column::DueAt)
                .order_by_asc(garbage::Column::Key)
                .limit(BATCH)
                .all(self.shared.db.conn())
                .await?;
            if due.is_empty() {
                return Ok(collected);
            }
            let until = now + RETRY_DELAY;
            let leased = self.lease(&due, until).await?;
            let mut deleted = Vec::new();
            for row in &leased {
                match self.delete_objects(row).await {
                    Ok(()) => deleted.push(row.key.as_str()),
                    Err(error) => tracing::warn!(%error, "a file could not be deleted from the store"),
                }
            }
            self.delete_garbage(&deleted, until).await?;
            collected += deleted.len() as u64;
            if deleted.len() < leased.len() {
                // The store has a problem; further deletions would fail as well.
                return Ok(collected);
            }
        }
    }

    /// Leases due rows, except those that were attached or leased by another node meanwhile.
    async fn lease<'a>(&self, due: &'a [garbage::Model], until: Timestamp) -> Result<Vec<&'a garbage::Model>, DbErr> {
        self.shared
            .db
            .write(|tx| async move {
                let mut leased = Vec::new();
                for row in due {
                    let change = garbage::Entity::update_many()
                        .col_expr(garbage::Column::DueAt, Expr::value(until))
                        .filter(garbage::COLUMN.key.eq(row.key.as_str()))
                        .filter(garbage::COLUMN.due_at.eq(row.due_at));
                    if change.exec(&tx).await?.rows_affected == 1 {
                        leased.push(row);
                    }
                }
                Ok(leased)
            })
            .await
    }

    async fn delete_objects(&self, row: &garbage::Model) -> io::Result<()> {
        for variant in row.variants.split(',') {
            self.shared.store.delete(&object_name(&row.key, variant)).await?;
        }
        Ok(())
    }

    async fn delete_garbage(&self, keys: &[&str], until: Timestamp) -> Result<(), DbErr> {
        if keys.is_empty() {
            return Ok(());
        }
        self.shared
            .db
            .write(|tx| async move {
                garbage::Entity::delete_many()
                    .filter(garbage::COLUMN.key.is_in(keys.iter().copied()))
                    .filter(garbage::COLUMN.due_at.eq(until))
                    .exec(&tx)
                    .await
                    .map(|_| ())
            })
            .await
    }
}

#[async_trait]
impl Job for Files {
    fn name(&self) -> &'static str {
        "files.collect"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(600)
    }

    async fn run(&self) -> Result<()> {
        self.collect().await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{ANNA, HOUR, Kit, picture, text};

    #[tokio::test]
    async fn unattached_content_is_deleted_after_an_hour() {
        let kit = Kit::new().await;
        let stored = kit.files.store(ANNA, picture()).await.unwrap();
        kit.advance(HOUR - 1);
        assert_eq!(kit.files.collect().await.unwrap(), 0);
        assert_eq!(kit.store.names().len(), 2);
        kit.advance(1);
        assert_eq!(kit.files.collect().await.unwrap(), 1);
        assert!(kit.store.names().is_empty());
        assert!(kit.attach(&stored).await.is_err(), "the content has been deleted");
        assert_eq!(kit.db.count_rows("files_file").await, 0);
    }

    #[tokio::test]
    async fn a_file_is_stored_until_its_row_is_deleted() {
        let kit = Kit::new().await;
        let id = kit.add(picture()).await;
        let url = kit.files.url(id, Some("small"), "me.png", None);
        kit.advance(HOUR);
        kit.advance(HOUR);
        assert_eq!(kit.files.collect().await.unwrap(), 0);
        assert_eq!(kit.store.names().len(), 2);
        kit.db.sql("DELETE FROM files_file").await.unwrap();
        assert_eq!(kit.get(&url).await.code(), "file_not_found");
        assert_eq!(kit.files.collect().await.unwrap(), 1);
        assert!(kit.store.names().is_empty());
        assert_eq!(kit.files.collect().await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_failed_deletion_is_retried() {
        let kit = Kit::new().await;
        for _ in 0..3 {
            kit.files.store(ANNA, text("hello")).await.unwrap();
        }
        kit.advance(HOUR);
        kit.store.set_broken(true);
        assert_eq!(kit.files.collect().await.unwrap(), 0);
        kit.store.set_broken(false);
        assert_eq!(kit.files.collect().await.unwrap(), 0, "not before the delay");
        kit.advance(HOUR);
        assert_eq!(kit.files.collect().await.unwrap(), 3);
        assert!(kit.store.names().is_empty());
    }
}
