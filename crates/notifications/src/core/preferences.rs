//! The preferences of a user, with their defaults.

use guildhall_kernel::{Timestamp, UserId};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, Iterable, QueryFilter};

use super::schedule::Schedule;
use crate::{
    Channel, Digest, KindPreferences, NotificationKind, NotificationPreferences, QuietHours, TimeOfDay,
    entity::{preference, settings},
};

/// The preferences of a user.
pub(crate) struct OwnPreferences {
    pub(crate) settings: settings::Model,
    stored: Vec<preference::Model>,
}

impl settings::Model {
    /// The settings of a user who has chosen none.
    pub(crate) fn default_of(user: UserId) -> Self {
        Self {
            user_id: user,
            sends_emails: true,
            digest: Digest::Off,
            time_zone: "UTC".to_owned(),
            quiet_from: None,
            quiet_until: None,
            updated_at: Timestamp::EPOCH,
        }
    }

    pub(crate) fn quiet_hours(&self) -> Option<QuietHours> {
        let from = TimeOfDay::from_minutes(self.quiet_from?)?;
        let until = TimeOfDay::from_minutes(self.quiet_until?)?;
        Some(QuietHours { from, until })
    }
}

impl OwnPreferences {
    pub(crate) async fn load(conn: &impl ConnectionTrait, user: UserId) -> Result<Self, DbErr> {
        let settings = settings::Entity::find_by_id(user).one(conn).await?;
        let settings = settings.unwrap_or_else(|| settings::Model::default_of(user));
        let stored = preference::Entity::find().filter(preference::COLUMN.user_id.eq(user)).all(conn).await?;
        Ok(Self { settings, stored })
    }

    fn chosen(&self, kind: NotificationKind, channel: Channel) -> bool {
        let stored = self.stored.iter().find(|row| row.kind == kind && row.channel == channel);
        stored.map_or_else(|| kind.is_on_by_default(channel), |row| row.is_on)
    }

    /// Whether the user gets notifications of a kind through a channel.
    pub(crate) fn is_on(&self, kind: NotificationKind, channel: Channel) -> bool {
        (channel != Channel::Email || self.settings.sends_emails) && self.chosen(kind, channel)
    }

    pub(crate) fn schedule(&self) -> Schedule {
        Schedule::from(&self.settings)
    }

    pub(crate) fn show(self) -> NotificationPreferences {
        let channels = |kind| KindPreferences {
            page: self.chosen(kind, Channel::Page),
            email: self.chosen(kind, Channel::Email),
            push: self.chosen(kind, Channel::Push),
        };
        NotificationPreferences {
            kinds: NotificationKind::iter().map(|kind| (kind, channels(kind))).collect(),
            sends_emails: self.settings.sends_emails,
            digest: self.settings.digest,
            quiet_hours: self.settings.quiet_hours(),
            updated_at: self.settings.updated_at,
            time_zone: self.settings.time_zone,
        }
    }
}
