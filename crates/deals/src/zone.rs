//! Dates and times in the time zone of an organization.

use std::str::FromStr;

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;
use guildhall_kernel::Timestamp;

use crate::{Day, entity::organization};

/// Whether a name is an IANA time zone.
pub(crate) fn is_zone(name: &str) -> bool {
    Tz::from_str(name).is_ok()
}

impl organization::Model {
    fn zone(&self) -> Tz {
        Tz::from_str(&self.time_zone).unwrap_or(Tz::UTC)
    }

    fn local(&self, time: Timestamp) -> DateTime<Tz> {
        let utc = DateTime::from_timestamp_micros(time.unix_micros()).unwrap_or_default();
        utc.with_timezone(&self.zone())
    }

    /// The date of a time in the organization's time zone.
    pub(crate) fn day_of(&self, time: Timestamp) -> Day {
        Day::parse(&self.local(time).format("%Y-%m-%d").to_string()).unwrap_or_else(|| Day::of(time))
    }

    /// When a day begins in the organization's time zone.
    pub(crate) fn start_of_day(&self, day: &Day) -> Timestamp {
        let date = NaiveDate::parse_from_str(day.as_str(), "%Y-%m-%d").unwrap_or_default();
        let midnight = date.and_time(NaiveTime::MIN);
        // If the clocks go forward at midnight, the day begins later. A skipped day begins with the next one.
        let start = (0..200).find_map(|quarter| {
            self.zone().from_local_datetime(&(midnight + Duration::minutes(15 * quarter))).earliest()
        });
        start.map_or(Timestamp::EPOCH, |start| Timestamp::from_unix_micros(start.timestamp_micros()))
    }

    /// When a day ends in the organization's time zone: when the next one begins.
    pub(crate) fn end_of_day(&self, day: &Day) -> Timestamp {
        let date = NaiveDate::parse_from_str(day.as_str(), "%Y-%m-%d").unwrap_or_default();
        let next = date.succ_opt().unwrap_or(date).format("%Y-%m-%d").to_string();
        Day::parse(&next).map_or_else(|| self.start_of_day(day), |next| self.start_of_day(&next))
    }

    /// Formats a time in the organization's time zone.
    pub(crate) fn format_time(&self, time: Timestamp) -> String {
        self.local(time).format("%Y-%m-%d %H:%M %Z").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Currency, OrganizationId, Overpayment};

    fn org_in(zone: &str) -> organization::Model {
        organization::Model {
            id: OrganizationId(1),
            name: String::new(),
            name_key: String::new(),
            slug: String::new(),
            is_test: false,
            default_currency: Currency::from_code("EUR").unwrap(),
            number_prefix: String::new(),
            number_pad: 4,
            overpayment: Overpayment::Reject,
            requires_if_match: false,
            four_eyes: false,
            creator_keeps_access: true,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
            has_webhooks: false,
            time_zone: zone.to_owned(),
            approval_above_minor: None,
        }
    }

    #[test]
    fn days_begin_and_end_correctly_when_clocks_change() {
        for (zone, day, begin, end) in [
            ("UTC", "2025-01-01", "2025-01-01T00:00:00.000000Z", "2025-01-02T00:00:00.000000Z"),
            // A day of 23 hours.
            ("Europe/Vienna", "2025-03-30", "2025-03-29T23:00:00.000000Z", "2025-03-30T22:00:00.000000Z"),
            // A day without midnight.
            ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00.000000Z", "2018-11-05T02:00:00.000000Z"),
            // A skipped day.
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00.000000Z", "2011-12-30T10:00:00.000000Z"),
            // An unknown time zone falls back to UTC.
            ("Mars/Olympus", "2025-01-01", "2025-01-01T00:00:00.000000Z", "2025-01-02T00:00:00.000000Z"),
        ] {
            let (org, day) = (org_in(zone), Day::parse(day).unwrap());
            assert_eq!(
                (org.start_of_day(&day).to_string().as_str(), org.end_of_day(&day).to_string().as_str()),
                (begin, end),
                "{zone}"
            );
        }
        assert!(is_zone("Europe/Vienna") && !is_zone("Mars/Olympus") && !is_zone(""));
    }

    #[test]
    fn a_time_has_the_local_date() {
        let time = org_in("UTC").start_of_day(&Day::parse("2025-07-01").unwrap());
        for (zone, day, formatted) in [
            ("UTC", "2025-07-01", "2025-07-01 00:00 UTC"),
            ("Pacific/Pago_Pago", "2025-06-30", "2025-06-30 13:00 SST"),
            ("Europe/Vienna", "2025-07-01", "2025-07-01 02:00 CEST"),
        ] {
            let org = org_in(zone);
            assert_eq!(org.day_of(time).as_str(), day, "{zone}");
            assert_eq!(org.format_time(time), formatted, "{zone}");
        }
    }

    proptest::proptest! {
        #[test]
        fn fuzz_every_time_is_within_its_day_in_every_zone(
            seconds in -2_200_000_000_i64..32_000_000_000,
            zone in proptest::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
        ) {
            let org = org_in(zone.name());
            let time = Timestamp::from_unix_seconds(seconds);
            let day = org.day_of(time);
            let (begin, end) = (org.start_of_day(&day), org.end_of_day(&day));
            proptest::prop_assert!(begin <= time && time < end, "{} {} {} {}", day.as_str(), begin, time, end);
        }

        #[test]
        fn fuzz_a_parsed_day_keeps_its_text(text in "[0-9]{1,5}-[0-9]{1,2}-[0-9]{1,2}.?") {
            if let Some(day) = Day::parse(&text) {
                proptest::prop_assert_eq!(day.as_str(), &text);
                let org = org_in("Pacific/Apia");
                proptest::prop_assert!(org.start_of_day(&day) <= org.end_of_day(&day));
            }
        }
    }
}
