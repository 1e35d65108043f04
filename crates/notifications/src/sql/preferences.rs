//! Through which channels a user gets notifications.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, IfMatch, UserId,
    db::{self, Tx},
};
use sea_orm::{ActiveEnum, DbErr, EntityTrait};

use super::SqlNotifications;
use crate::{
    Channel, Error, KindPreferencesPatch, NotificationKind, NotificationPreferences, Preferences, PreferencesPatch,
    Result, core::preferences::OwnPreferences, entity::settings,
};

/// Stores the default settings of a user, unless there are settings.
const ADD_SETTINGS: &str = "INSERT INTO notifications_settings \
     (user_id, sends_emails, digest, time_zone, quiet_from, quiet_until, updated_at) \
     VALUES ($1, $2, $3, $4, NULL, NULL, $5) ON CONFLICT (user_id) DO NOTHING";

const SET_PREFERENCE: &str = "INSERT INTO notifications_preference (user_id, kind, channel, is_on) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (user_id, kind, channel) DO UPDATE SET is_on = excluded.is_on";

/// The settings of a user, locked until the end of the transaction.
pub(super) async fn settings_for_update(tx: &Tx, user: UserId) -> Result<settings::Model> {
    let settings::Model { sends_emails, digest, time_zone, updated_at, .. } = settings::Model::default_of(user);
    let values = [user.into(), sends_emails.into(), digest.to_value().into(), time_zone.into(), updated_at.into()];
    db::execute(tx, ADD_SETTINGS, values).await?;
    db::lock::<settings::Entity>(tx, user).await?;
    let row = settings::Entity::find_by_id(user).one(tx).await?;
    Ok(row.ok_or(DbErr::RecordNotInserted)?)
}

async fn set_channels(tx: &Tx, user: UserId, kind: NotificationKind, patch: KindPreferencesPatch) -> Result<()> {
    let channels = [(Channel::Page, patch.page), (Channel::Email, patch.email), (Channel::Push, patch.push)];
    for (channel, is_on) in channels {
        if let Some(is_on) = is_on {
            let values = [user.into(), kind.to_value().into(), channel.to_value().into(), is_on.into()];
            db::execute(tx, SET_PREFERENCE, values).await?;
        }
    }
    Ok(())
}

fn apply(patch: &PreferencesPatch, settings: &mut settings::Model) {
    if let Some(sends_emails) = patch.sends_emails {
        settings.sends_emails = sends_emails;
    }
    if let Some(digest) = patch.digest {
        settings.digest = digest;
    }
    if let Some(time_zone) = &patch.time_zone {
        settings.time_zone.clone_from(time_zone);
    }
    if let Some(hours) = patch.quiet_hours {
        settings.quiet_from = hours.map(|hours| hours.from.minutes().into());
        settings.quiet_until = hours.map(|hours| hours.until.minutes().into());
    }
}

#[async_trait]
impl Preferences for SqlNotifications {
    async fn notification_preferences(&self, caller: &Caller) -> Result<NotificationPreferences> {
        Ok(OwnPreferences::load(self.core.db.conn(), caller.user).await?.show())
    }

    async fn change_notification_preferences(
        &self,
        caller: &Caller,
        patch: PreferencesPatch,
        known: IfMatch,
    ) -> Result<NotificationPreferences> {
        patch.validate()?;
        if patch.is_empty() {
            return Err(Error::NothingToChange);
        }
        let (user, now) = (caller.user, self.core.now());
        let (patch, known) = (&patch, &known);
        self.core
            .db
            .write(|tx| async move {
                let before = settings_for_update(&tx, user).await?;
                known.check(before.updated_at)?;
                let mut after = before.clone();
                after.updated_at = now;
                apply(patch, &mut after);
                db::store_changes(&tx, &before, &after).await?;
                for (kind, channels) in patch.kinds.iter().flatten() {
                    set_channels(&tx, user, *kind, *channels).await?;
                }
                Ok(OwnPreferences::load(&tx, user).await?.show())
            })
            .await
    }
}
