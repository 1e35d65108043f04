use std::{collections::BTreeMap, str::FromStr};

use chrono_tz::Tz;
use garde::Validate;
use guildhall_kernel::{Timestamp, text};
use serde::{Deserialize, Deserializer, Serialize, de::IntoDeserializer};
use utoipa::ToSchema;

use crate::{Digest, NotificationKind};

/// Through which channels a user gets notifications, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NotificationPreferences {
    /// The channels of each kind.
    pub kinds: BTreeMap<NotificationKind, KindPreferences>,
    /// Whether any notifications are sent by email. Unsubscribing turns it off.
    pub sends_emails: bool,
    /// How they are sent by email.
    pub digest: Digest,
    /// The time zone of the quiet hours and digests, from the IANA database.
    #[schema(example = "Europe/Vienna")]
    pub time_zone: String,
    /// When there are neither emails nor pushes: they are sent afterwards.
    pub quiet_hours: Option<QuietHours>,
    /// When they were last changed.
    pub updated_at: Timestamp,
}

/// The channels of notifications of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NotificationKindPreferences)]
pub struct KindPreferences {
    /// The list of notifications, and sockets.
    pub page: bool,
    /// Email.
    pub email: bool,
    /// Web push.
    pub push: bool,
}

/// A daily period; it may include midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuietHours {
    /// When it begins.
    pub from: TimeOfDay,
    /// When it ends.
    pub until: TimeOfDay,
}

/// A time of the day, in minutes after midnight; in JSON, text like `22:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "22:00")]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// The time this many minutes after midnight, if the day is that long.
    pub fn from_minutes(minutes: i64) -> Option<Self> {
        u16::try_from(minutes).ok().filter(|minutes| *minutes < 24 * 60).map(Self)
    }

    /// The minutes after midnight.
    pub fn minutes(self) -> u16 {
        self.0
    }
}

/// A text that is not a time of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time like 22:00")]
pub struct InvalidTimeOfDay;

impl TryFrom<String> for TimeOfDay {
    type Error = InvalidTimeOfDay;

    fn try_from(text: String) -> Result<Self, InvalidTimeOfDay> {
        let number = |digits: &str, end: u16| {
            let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|number| is_number && *number < end)
        };
        let (hours, minutes) = text.split_once(':').ok_or(InvalidTimeOfDay)?;
        match (number(hours, 24), number(minutes, 60)) {
            (Some(hours), Some(minutes)) => Ok(Self(hours * 60 + minutes)),
            _ => Err(InvalidTimeOfDay),
        }
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        format!("{:02}:{:02}", time.0 / 60, time.0 % 60)
    }
}

/// A change of preferences; absent fields stay as they are, but one of them is required.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[schema(as = NotificationPreferencesPatch)]
pub struct PreferencesPatch {
    /// The channels of some kinds.
    #[serde(default, deserialize_with = "by_kind")]
    #[garde(skip)]
    pub kinds: Option<BTreeMap<NotificationKind, KindPreferencesPatch>>,
    /// Whether any notifications are sent by email.
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[garde(skip)]
    pub sends_emails: Option<bool>,
    /// How they are sent by email.
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[garde(skip)]
    pub digest: Option<Digest>,
    /// The time zone of the quiet hours and digests, from the IANA database.
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[garde(custom(text::maybe(check_time_zone)))]
    pub time_zone: Option<String>,
    /// When there are neither emails nor pushes; `null` for no such hours.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(custom(text::maybe(text::maybe(check_quiet_hours))))]
    pub quiet_hours: Option<Option<QuietHours>>,
}

impl PreferencesPatch {
    /// Whether all fields are absent.
    pub fn is_empty(&self) -> bool {
        let Self { kinds, sends_emails, digest, time_zone, quiet_hours } = self;
        kinds.is_none() && sends_emails.is_none() && digest.is_none() && time_zone.is_none() && quiet_hours.is_none()
    }
}

/// A change of the channels of one kind; absent ones stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(as = NotificationKindPreferencesPatch)]
pub struct KindPreferencesPatch {
    /// The list of notifications, and sockets.
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    pub page: Option<bool>,
    /// Email.
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    pub email: Option<bool>,
    /// Web push.
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    pub push: Option<bool>,
}

/// Reads the kinds as text first, so that they are named in the paths of errors.
fn by_kind<'de, D: Deserializer<'de>>(
    field: D,
) -> Result<Option<BTreeMap<NotificationKind, KindPreferencesPatch>>, D::Error> {
    let kinds = BTreeMap::<String, KindPreferencesPatch>::deserialize(field)?;
    let by_kind =
        |(kind, channels): (String, _)| Ok((NotificationKind::deserialize(kind.into_deserializer())?, channels));
    kinds.into_iter().map(by_kind).collect::<Result<_, D::Error>>().map(Some)
}

fn check_time_zone<T: AsRef<str>>(name: &T, (): &()) -> garde::Result {
    Tz::from_str(name.as_ref())
        .map(|_| ())
        .map_err(|_| garde::Error::new("This is not a time zone like Europe/Vienna."))
}

fn check_quiet_hours(hours: &QuietHours, (): &()) -> garde::Result {
    if hours.from == hours.until {
        return Err(garde::Error::new("Quiet hours cannot begin and end at the same time."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_day_has_two_digits_for_hours_and_minutes() {
        let parse = |text: &str| TimeOfDay::try_from(text.to_owned());
        for (text, minutes) in [("00:00", 0), ("07:05", 425), ("23:59", 1439)] {
            assert_eq!(parse(text).unwrap().minutes(), minutes);
            assert_eq!(String::from(parse(text).unwrap()), text);
        }
        for invalid in ["", "7:05", "07:5", "24:00", "07:60", "07:05:00", "0705", "+7:05", "-1:00", "٠٧:٠٥"] {
            assert_eq!(parse(invalid), Err(InvalidTimeOfDay), "{invalid}");
        }
        assert_eq!(TimeOfDay::from_minutes(1440), None);
    }
}
