//! The pictures of users.

use guildhall_files::FileId;
use guildhall_kernel::audit;

use super::{SqlAccounts, user_tx::UserTx};
use crate::{Result, entity::user};

impl SqlAccounts {
    /// Stores or clears the file of the picture of a user, who is locked. A trigger deletes the previous file.
    pub(super) async fn store_picture(
        &self,
        tx: &UserTx,
        before: &user::Model,
        picture: Option<FileId>,
        event: audit::AuditEvent,
    ) -> Result<user::Model> {
        if before.picture_id == picture {
            return Ok(before.clone());
        }
        let now = self.0.clock.now();
        let after = user::Model { picture_id: picture, updated_at: now, ..before.clone() };
        tx.store_user(before, &after).await?;
        event.about(before.id, &before.username).record(tx, now).await?;
        Ok(after)
    }
}
