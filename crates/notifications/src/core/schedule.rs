//! When emails and web pushes are sent.

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Timelike, Weekday};
use chrono_tz::Tz;
use guildhall_kernel::Timestamp;

use crate::{Digest, QuietHours, entity::settings};

/// Emails wait this long, in case the notification is read meanwhile or more of them follow.
const EMAIL_DELAY: Duration = Duration::from_secs(120);
/// The time of digests, in minutes after midnight.
const DIGEST_AT: u16 = 8 * 60;

/// When a user gets emails and web pushes.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    zone: Tz,
    quiet: Option<QuietHours>,
    digest: Digest,
}

impl From<&settings::Model> for Schedule {
    fn from(settings: &settings::Model) -> Self {
        let zone = Tz::from_str(&settings.time_zone).unwrap_or(Tz::UTC);
        Self { zone, quiet: settings.quiet_hours(), digest: settings.digest }
    }
}

impl Schedule {
    /// When a web push is sent.
    pub(crate) fn push_at(&self, now: Timestamp) -> Timestamp {
        self.end_of_quiet_hours(now).unwrap_or(now)
    }

    /// When an email is sent.
    pub(crate) fn email_at(&self, now: Timestamp) -> Timestamp {
        let at = match self.digest {
            Digest::Off => now + EMAIL_DELAY,
            Digest::Daily => self.next_digest(now, |_| true),
            Digest::Weekly => self.next_digest(now, |date| date.weekday() == Weekday::Mon),
        };
        self.end_of_quiet_hours(at).unwrap_or(at)
    }

    fn local(&self, time: Timestamp) -> DateTime<Tz> {
        let utc = DateTime::from_timestamp_micros(time.unix_micros()).unwrap_or_default();
        utc.with_timezone(&self.zone)
    }

    /// When the local clock shows this time on a date, or the next time that it shows if this one is skipped.
    fn at(&self, date: NaiveDate, minutes: u16) -> Timestamp {
        let time = date.and_time(NaiveTime::MIN) + TimeDelta::minutes(minutes.into());
        let shown = (0..200)
            .find_map(|quarter| self.zone.from_local_datetime(&(time + TimeDelta::minutes(15 * quarter))).earliest());
        let utc = shown.map_or_else(|| time.and_utc().timestamp_micros(), |shown| shown.timestamp_micros());
        Timestamp::from_unix_micros(utc)
    }

    /// When the quiet hours end that contain a time; `None` if there are none.
    fn end_of_quiet_hours(&self, time: Timestamp) -> Option<Timestamp> {
        let QuietHours { from, until } = self.quiet?;
        let (from, until) = (from.minutes(), until.minutes());
        let local = self.local(time);
        let minutes = u16::try_from(local.hour() * 60 + local.minute()).unwrap_or_default();
        let today = local.date_naive();
        let tomorrow = || today.checked_add_days(Days::new(1)).unwrap_or(today);
        let last_day = match (from < until, minutes >= from, minutes < until) {
            (true, true, true) | (false, _, true) => today,
            (false, true, false) => tomorrow(),
            _ => return None,
        };
        let end = self.at(last_day, until);
        // If clocks go back, the end may have passed already.
        Some(end).filter(|end| *end > time)
    }

    /// The next time of digests on a day that satisfies a condition.
    fn next_digest(&self, now: Timestamp, is_day: impl Fn(NaiveDate) -> bool) -> Timestamp {
        let today = self.local(now).date_naive();
        let days = (0..=7).filter_map(|day| today.checked_add_days(Days::new(day)));
        let mut times = days.filter(|date| is_day(*date)).map(|date| self.at(date, DIGEST_AT));
        times.find(|time| *time > now).unwrap_or(now + EMAIL_DELAY)
    }
}

#[cfg(test)]
mod tests {
    use crate::TimeOfDay;

    use super::*;

    fn schedule(zone: &str, quiet: Option<(i64, i64)>, digest: Digest) -> Schedule {
        let time = |minutes| TimeOfDay::from_minutes(minutes).unwrap();
        let quiet = quiet.map(|(from, until)| QuietHours { from: time(from), until: time(until) });
        Schedule { zone: zone.parse().unwrap(), quiet, digest }
    }

    fn time(text: &str) -> Timestamp {
        serde_json::from_value(serde_json::json!(text)).unwrap()
    }

    #[test]
    fn pushes_wait_for_the_end_of_the_quiet_hours_in_the_time_zone_of_the_user() {
        let night = schedule("Europe/Vienna", Some((22 * 60, 7 * 60)), Digest::Off);
        for (now, at) in [
            ("2025-01-15T20:59:00Z", "2025-01-15T20:59:00Z"),
            ("2025-01-15T21:00:00Z", "2025-01-16T06:00:00Z"),
            ("2025-01-16T05:59:59Z", "2025-01-16T06:00:00Z"),
            ("2025-01-16T06:00:00Z", "2025-01-16T06:00:00Z"),
            // In summer, and over the change of clocks.
            ("2025-07-15T20:00:00Z", "2025-07-16T05:00:00Z"),
            ("2025-03-29T22:00:00Z", "2025-03-30T05:00:00Z"),
        ] {
            assert_eq!(night.push_at(time(now)), time(at), "{now}");
        }
        let lunch = schedule("UTC", Some((12 * 60, 13 * 60)), Digest::Off);
        assert_eq!(lunch.push_at(time("2025-01-15T12:30:00Z")), time("2025-01-15T13:00:00Z"));
        assert_eq!(lunch.push_at(time("2025-01-15T23:30:00Z")), time("2025-01-15T23:30:00Z"));
    }

    #[test]
    fn an_end_of_quiet_hours_that_clocks_skip_is_postponed() {
        let skipped = schedule("Europe/Vienna", Some((60, 150)), Digest::Off);
        assert_eq!(skipped.push_at(time("2025-03-30T00:30:00Z")), time("2025-03-30T01:00:00Z"));
    }

    #[test]
    fn emails_wait_a_little_and_not_into_the_quiet_hours() {
        let none = schedule("UTC", None, Digest::Off);
        assert_eq!(none.email_at(time("2025-01-15T12:00:00Z")), time("2025-01-15T12:02:00Z"));
        let night = schedule("UTC", Some((22 * 60, 7 * 60)), Digest::Off);
        assert_eq!(night.email_at(time("2025-01-15T21:59:00Z")), time("2025-01-16T07:00:00Z"));
    }

    #[test]
    fn digests_are_sent_in_the_morning() {
        let daily = schedule("America/New_York", None, Digest::Daily);
        assert_eq!(daily.email_at(time("2025-01-15T12:59:00Z")), time("2025-01-15T13:00:00Z"));
        assert_eq!(daily.email_at(time("2025-01-15T13:00:00Z")), time("2025-01-16T13:00:00Z"));
        // 15 January 2025 is a Wednesday.
        let weekly = schedule("UTC", None, Digest::Weekly);
        assert_eq!(weekly.email_at(time("2025-01-15T12:00:00Z")), time("2025-01-20T08:00:00Z"));
        assert_eq!(weekly.email_at(time("2025-01-20T08:00:00Z")), time("2025-01-27T08:00:00Z"));
        let late = schedule("UTC", Some((22 * 60, 9 * 60)), Digest::Daily);
        assert_eq!(late.email_at(time("2025-01-15T12:00:00Z")), time("2025-01-16T09:00:00Z"));
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_sent_in_the_past_or_later_than_in_nine_days(
            seconds in 0_i64..4_000_000_000,
            zone in proptest::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
            from in 0_i64..1440,
            length in 1_i64..1440,
            digest in proptest::sample::select(vec![Digest::Off, Digest::Daily, Digest::Weekly]),
        ) {
            let schedule = schedule(zone.name(), Some((from, (from + length) % 1440)), digest);
            let now = Timestamp::from_unix_seconds(seconds);
            let end = now + Duration::from_secs(9 * 24 * 3600);
            for at in [schedule.push_at(now), schedule.email_at(now)] {
                proptest::prop_assert!(now <= at && at < end, "{at}");
            }
        }
    }
}
