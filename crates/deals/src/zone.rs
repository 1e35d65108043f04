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
