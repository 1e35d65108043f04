use async_trait::async_trait;
use guildhall_kernel::{audit, db::Tx};
use sea_orm::{ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use super::{SqlAccounts, superusers};
use crate::{
    Account, Error, FirstStart, NewUser, Result,
    entity::{signing_key, user},
    model::UserRow,
};

/// Whether there is an active superuser.
async fn has_active(conn: &impl ConnectionTrait) -> Result<bool> {
    let active = superusers().filter(user::COLUMN.is_active.eq(true));
    Ok(active.into_partial_model::<UserRow>().one(conn).await?.is_some())
}

#[async_trait]
impl FirstStart for SqlAccounts {
    async fn needs_superuser(&self) -> Result<bool> {
        Ok(!has_active(self.0.db.conn()).await?)
    }

    async fn create_first_superuser(&self, new: NewUser) -> Result<Account> {
        if !self.needs_superuser().await? {
            return Err(Error::AlreadySetUp);
        }
        self.check_new_user(&new, false).await?;
        let mut row = self.new_row(&new, Some(self.0.hasher.hash(&new.password).await?));
        row.email_verified_at = Set(Some(self.0.clock.now()));
        row.is_superuser = Set(true);
        let id = self
            .0
            .db
            .write(|tx| {
                let row = row.clone();
                async move {
                    let conn: &Tx = &tx;
                    // Nobody to lock yet: the signing keys exist from the start, and are rarely changed.
                    signing_key::Entity::find()
                        .select_only()
                        .column(signing_key::Column::Id)
                        .order_by_asc(signing_key::Column::Id)
                        .lock_exclusive()
                        .into_tuple::<i64>()
                        .all(conn)
                        .await?;
                    if has_active(conn).await? {
                        return Err(Error::AlreadySetUp);
                    }
                    let event = audit::AuditEvent::new("accounts.create_first_superuser");
                    Ok::<_, Error>(self.insert_user(&tx, row, event).await?.id)
                }
            })
            .await?;
        self.find_account(self.0.db.conn(), id).await
    }
}
