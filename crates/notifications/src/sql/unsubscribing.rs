//! The links in emails that unsubscribe their recipients.

use async_trait::async_trait;
use guildhall_kernel::db;
use sea_orm::SqlErr;

use super::{SqlNotifications, preferences::settings_for_update};
use crate::{Error, Result, Unsubscribing, entity::settings};

#[async_trait]
impl Unsubscribing for SqlNotifications {
    fn is_unsubscribe_token(&self, token: &str) -> bool {
        self.core.unsubscribe_key.user(token).is_some()
    }

    async fn unsubscribe(&self, token: &str) -> Result<()> {
        let user = self.core.unsubscribe_key.user(token).ok_or(Error::NotFound("link"))?;
        let now = self.core.now();
        let unsubscribed = self.core.db.write(|tx| async move {
            let before = settings_for_update(&tx, user).await?;
            if before.sends_emails {
                let after = settings::Model { sends_emails: false, updated_at: now, ..before.clone() };
                db::store_changes(&tx, &before, &after).await?;
            }
            Ok(())
        });
        match unsubscribed.await {
            // The account was deleted.
            Err(Error::Database(error))
                if matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_))) =>
            {
                Err(Error::NotFound("link"))
            }
            outcome => outcome,
        }
    }
}
