//! The pictures of users.

use axum::body::Bytes;
use guildhall_files::{self as files, FileId};
use guildhall_kernel::{Caller, UserId, audit};
use sea_orm::{EntityTrait, QuerySelect};

use super::{SqlAccounts, user_tx::UserTx};
use crate::{Account, Error, Result, entity::user, model::PICTURE};

impl SqlAccounts {
    /// Replaces the picture of the caller. A trigger deletes the file of the previous one.
    pub(super) async fn replace_picture(&self, caller: &Caller, content: Bytes) -> Result<Account> {
        let content = files::pictures(caller.user, "image", content, &[PICTURE]).await?;
        let stored = &self.0.files.store(caller.user, content).await?;
        self.write_users(|tx| async move {
            let file = self.0.files.attach(&*tx, stored).await?;
            let event = audit::AuditEvent::new("accounts.set_picture").by(caller);
            self.store_picture(&tx, caller.user, Some(file), event).await
        })
        .await
    }

    /// Removes the picture of a user.
    pub(super) async fn delete_picture(&self, caller: &Caller, tx: &UserTx, id: UserId) -> Result<Account> {
        let event = audit::AuditEvent::new("accounts.remove_picture").by(caller);
        self.store_picture(tx, id, None, event).await
    }

    async fn store_picture(
        &self,
        tx: &UserTx,
        id: UserId,
        picture: Option<FileId>,
        event: audit::AuditEvent,
    ) -> Result<Account> {
        let before = user::Entity::find_by_id(id).lock_exclusive().one(&**tx).await?;
        let before = before.filter(|user| user.erased_at.is_none()).ok_or(Error::UserNotFound(id))?;
        if before.picture_id == picture {
            return Ok(self.to_account(before));
        }
        let now = self.0.clock.now();
        let after = user::Model { picture_id: picture, updated_at: now, ..before.clone() };
        tx.store_user(&before, &after).await?;
        event.about(id, &before.username).record(tx, now).await?;
        Ok(self.to_account(after))
    }
}
