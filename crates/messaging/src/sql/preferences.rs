//! What the caller has chosen.

use async_trait::async_trait;
use guildhall_kernel::{
    Caller, UserId,
    db::{self, Tx},
};
use sea_orm::{ConnectionTrait, EntityTrait};

use super::SqlMessaging;
use crate::{
    entity::settings,
    error::{Error, Result},
    model::{Preferences, PreferencesPatch},
    service::ChosenPreferences,
};

const STORE: &str = "INSERT INTO messaging_settings (user_id, accepts_requests_only, sends_receipts, is_discoverable) \
    VALUES ($1, $2, $3, $4) ON CONFLICT (user_id) DO UPDATE SET accepts_requests_only = $2, sends_receipts = $3, \
    is_discoverable = $4";

const LOCK: &str = "INSERT INTO messaging_settings (user_id, accepts_requests_only, sends_receipts, is_discoverable) \
    VALUES ($1, $2, $3, $4) ON CONFLICT (user_id) DO UPDATE SET sends_receipts = messaging_settings.sends_receipts";

/// Locks the settings of a user, which are created if there are none, until the transaction ends.
pub(super) async fn lock_settings(tx: &Tx, user: UserId) -> Result<()> {
    let Preferences { accepts_requests_only, sends_receipts, is_discoverable } = Preferences::default();
    let values = [user.into(), accepts_requests_only.into(), sends_receipts.into(), is_discoverable.into()];
    db::execute(tx, LOCK, values).await?;
    Ok(())
}

async fn load(conn: &impl ConnectionTrait, caller: &Caller) -> Result<Preferences> {
    let row = settings::Entity::find_by_id(caller.user).one(conn).await?;
    Ok(row.map_or_else(Preferences::default, |row| Preferences {
        accepts_requests_only: row.accepts_requests_only,
        sends_receipts: row.sends_receipts,
        is_discoverable: row.is_discoverable,
    }))
}

#[async_trait]
impl ChosenPreferences for SqlMessaging {
    async fn preferences(&self, caller: &Caller) -> Result<Preferences> {
        load(self.core.db.conn(), caller).await
    }

    async fn change_preferences(&self, caller: &Caller, patch: PreferencesPatch) -> Result<Preferences> {
        if patch == PreferencesPatch::default() {
            return Err(Error::NothingToChange);
        }
        self.core
            .write(|tx| async move {
                db::lock::<settings::Entity>(&tx, caller.user).await?;
                let before = load(&tx, caller).await?;
                let after = Preferences {
                    accepts_requests_only: patch.accepts_requests_only.unwrap_or(before.accepts_requests_only),
                    sends_receipts: patch.sends_receipts.unwrap_or(before.sends_receipts),
                    is_discoverable: patch.is_discoverable.unwrap_or(before.is_discoverable),
                };
                let values = [
                    caller.user.into(),
                    after.accepts_requests_only.into(),
                    after.sends_receipts.into(),
                    after.is_discoverable.into(),
                ];
                db::execute(&tx, STORE, values).await?;
                Ok::<_, Error>(after)
            })
            .await
    }
}
