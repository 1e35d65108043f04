//! Days and moments in the time zone of an organization.

use std::str::FromStr;

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;
use guildhall_kernel::Timestamp;

use crate::{Day, entity::organization};

/// Is there a time zone of this name (IANA)?
pub(crate) fn is_zone(name: &str) -> bool {
    Tz::from_str(name).is_ok()
}

impl organization::Model {
    fn zone(&self) -> Tz {
        Tz::from_str(&self.time_zone).unwrap_or(Tz::UTC)
    }

    fn local(&self, moment: Timestamp) -> DateTime<Tz> {
        let utc = DateTime::from_timestamp_micros(moment.unix_micros()).unwrap_or_default();
        utc.with_timezone(&self.zone())
    }

    /// The day that it is there at a moment.
    pub(crate) fn day(&self, moment: Timestamp) -> Day {
        Day::parse(&self.local(moment).format("%Y-%m-%d").to_string()).unwrap_or_else(|| Day::of(moment))
    }

    /// When a day begins there.
    pub(crate) fn begin(&self, day: &Day) -> Timestamp {
        let date = NaiveDate::parse_from_str(day.as_str(), "%Y-%m-%d").unwrap_or_default();
        let midnight = date.and_time(NaiveTime::MIN);
        // Where clocks go forward at midnight the day begins a little later; one that was left out, with the next one.
        let begun = (0..200).find_map(|quarter| {
            self.zone().from_local_datetime(&(midnight + Duration::minutes(15 * quarter))).earliest()
        });
        begun.map_or(Timestamp::EPOCH, |begun| Timestamp::from_unix_micros(begun.timestamp_micros()))
    }

    /// When a day ends there, which is when the next one begins.
    pub(crate) fn end(&self, day: &Day) -> Timestamp {
        let date = NaiveDate::parse_from_str(day.as_str(), "%Y-%m-%d").unwrap_or_default();
        let next = date.succ_opt().unwrap_or(date).format("%Y-%m-%d").to_string();
        Day::parse(&next).map_or_else(|| self.begin(day), |next| self.begin(&next))
    }

    /// A moment as people there write it.
    pub(crate) fn moment(&self, moment: Timestamp) -> String {
        self.local(moment).format("%Y-%m-%d %H:%M %Z").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Currency, OrganizationId};

    fn at(zone: &str) -> organization::Model {
        organization::Model {
            id: OrganizationId(1),
            name: String::new(),
            name_key: String::new(),
            slug: String::new(),
            is_test: false,
            default_currency: Currency::from_code("EUR").unwrap(),
            number_prefix: String::new(),
            number_pad: 4,
            takes_credit: false,
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
    fn a_day_begins_once_wherever_clocks_are_moved() {
        for (zone, day, begin, end) in [
            ("UTC", "2025-01-01", "2025-01-01T00:00:00.000000Z", "2025-01-02T00:00:00.000000Z"),
            // 23 hours long.
            ("Europe/Vienna", "2025-03-30", "2025-03-29T23:00:00.000000Z", "2025-03-30T22:00:00.000000Z"),
            // There was no midnight.
            ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00.000000Z", "2018-11-05T02:00:00.000000Z"),
            // There was no such day.
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00.000000Z", "2011-12-30T10:00:00.000000Z"),
            // There is no such zone any more.
            ("Mars/Olympus", "2025-01-01", "2025-01-01T00:00:00.000000Z", "2025-01-02T00:00:00.000000Z"),
        ] {
            let (org, day) = (at(zone), Day::parse(day).unwrap());
            assert_eq!(
                (org.begin(&day).to_string().as_str(), org.end(&day).to_string().as_str()),
                (begin, end),
                "{zone}"
            );
        }
        assert!(is_zone("Europe/Vienna") && !is_zone("Mars/Olympus") && !is_zone(""));
    }

    #[test]
    fn a_moment_is_on_the_day_that_it_is_there() {
        let moment = at("UTC").begin(&Day::parse("2025-07-01").unwrap());
        for (zone, day, told) in [
            ("UTC", "2025-07-01", "2025-07-01 00:00 UTC"),
            ("Pacific/Pago_Pago", "2025-06-30", "2025-06-30 13:00 SST"),
            ("Europe/Vienna", "2025-07-01", "2025-07-01 02:00 CEST"),
        ] {
            assert_eq!((at(zone).day(moment).as_str(), at(zone).moment(moment).as_str()), (day, told));
        }
    }

    proptest::proptest! {
        #[test]
        fn fuzz_every_moment_is_within_its_day_in_every_zone(
            seconds in -2_200_000_000_i64..32_000_000_000,
            zone in proptest::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
        ) {
            let there = at(zone.name());
            let moment = Timestamp::from_unix_seconds(seconds);
            let day = there.day(moment);
            let (begin, end) = (there.begin(&day), there.end(&day));
            proptest::prop_assert!(begin <= moment && moment < end, "{} {} {} {}", day.as_str(), begin, moment, end);
        }

        #[test]
        fn fuzz_a_day_is_one_of_the_calendar(text in "[0-9]{1,5}-[0-9]{1,2}-[0-9]{1,2}.?") {
            if let Some(day) = Day::parse(&text) {
                proptest::prop_assert_eq!(day.as_str(), &text);
                let zone = at("Pacific/Apia");
                proptest::prop_assert!(zone.begin(&day) <= zone.end(&day));
            }
        }
    }
}
