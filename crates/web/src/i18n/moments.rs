//! How times are written.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeZone, Timelike};
use chrono_tz::Tz;
use guildhall_kernel::Timestamp;

use super::{Arg, Locale, shown};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// The keys of the short names of the months.
const MONTHS: [&str; 12] = [
    "month-1", "month-2", "month-3", "month-4", "month-5", "month-6", "month-7", "month-8", "month-9", "month-10",
    "month-11", "month-12",
];
/// The keys of the long names of the months.
const LONG_MONTHS: [&str; 12] = [
    "long-month-1",
    "long-month-2",
    "long-month-3",
    "long-month-4",
    "long-month-5",
    "long-month-6",
    "long-month-7",
    "long-month-8",
    "long-month-9",
    "long-month-10",
    "long-month-11",
    "long-month-12",
];
/// The keys of the short names of the days of the week, from Monday.
const WEEKDAYS: [&str; 7] = ["weekday-1", "weekday-2", "weekday-3", "weekday-4", "weekday-5", "weekday-6", "weekday-7"];

/// The form of a time in a field: `2026-03-12T09:50`.
const FIELD: &str = "%Y-%m-%dT%H:%M";
/// The length of such a time. Some browsers add seconds.
const FIELD_LENGTH: usize = 16;

/// The time in the reader's time zone.
fn local(locale: Locale, time: Timestamp) -> DateTime<Tz> {
    DateTime::from_timestamp_micros(time.unix_micros()).unwrap_or_default().with_timezone(&locale.zone())
}

pub(super) fn date(locale: Locale, time: Timestamp) -> NaiveDate {
    local(locale, time).date_naive()
}

pub(super) fn relative(locale: Locale, time: Timestamp, now: Timestamp) -> String {
    let seconds = now.unix_seconds() - time.unix_seconds();
    let (date, today) = (date(locale, time), date(locale, now));
    let days = (today - date).num_days();
    match seconds {
        ..0 => exact(locale, time),
        0..MINUTE => locale.text("time-now", &[]),
        MINUTE..HOUR => locale.text("time-minutes", &[("n", Arg::Number(seconds / MINUTE))]),
        HOUR..DAY if days == 0 || seconds < 6 * HOUR => {
            locale.text("time-hours", &[("n", Arg::Number(seconds / HOUR))])
        }
        _ if days == 1 => locale.text("time-yesterday", &[]),
        _ if days < 7 => locale.text(WEEKDAYS[date.weekday().num_days_from_monday() as usize % 7], &[]),
        _ if date.year() == today.year() => short_date(locale, date),
        _ => {
            let args = [("date", Arg::Text(short_date(locale, date).into())), ("year", shown(&date.year()))];
            locale.text("date-with-year", &args)
        }
    }
}

fn month(locale: Locale, keys: [&str; 12], date: NaiveDate) -> String {
    locale.text(keys[date.month0() as usize % 12], &[])
}

fn short_date(locale: Locale, date: NaiveDate) -> String {
    locale.text("date-short", &[("day", shown(&date.day())), ("month", shown(&month(locale, MONTHS, date)))])
}

pub(super) fn long_date(locale: Locale, time: Timestamp) -> String {
    let date = date(locale, time);
    let month = month(locale, LONG_MONTHS, date);
    locale.text("date-long", &[("day", shown(&date.day())), ("month", shown(&month)), ("year", shown(&date.year()))])
}

pub(super) fn exact(locale: Locale, time: Timestamp) -> String {
    let date = long_date(locale, time);
    locale.text("date-and-time", &[("date", shown(&date)), ("time", shown(&clock(locale, time)))])
}

pub(super) fn day(locale: Locale, time: Timestamp, now: Timestamp) -> String {
    match (date(locale, now) - date(locale, time)).num_days() {
        0 => locale.text("day-today", &[]),
        1 => locale.text("day-yesterday", &[]),
        _ => long_date(locale, time),
    }
}

pub(super) fn clock(locale: Locale, time: Timestamp) -> String {
    let time = local(locale, time);
    format!("{:02}:{:02}", time.hour(), time.minute())
}

/// A time as a field of a form holds it, in the reader's time zone.
pub(super) fn field(locale: Locale, time: Timestamp) -> String {
    local(locale, time).format(FIELD).to_string()
}

/// The time that a field holds. One that a change of the clock repeats is the first of both; one that it skips is none.
pub(super) fn parse_field(locale: Locale, text: &str) -> Option<Timestamp> {
    let naive = NaiveDateTime::parse_from_str(text.get(..FIELD_LENGTH)?, FIELD).ok()?;
    let time = locale.zone().from_local_datetime(&naive).earliest()?;
    Some(Timestamp::from_unix_micros(time.timestamp_micros()))
}

pub(super) fn day_and_month(locale: Locale, time: Timestamp) -> (String, String) {
    let date = date(locale, time);
    (date.day().to_string(), month(locale, MONTHS, date))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Thursday, 12 March 2026, 09:50 UTC.
    const NOW: Timestamp = Timestamp::EPOCH;

    fn now() -> Timestamp {
        NOW + Duration::from_secs(1_773_309_000)
    }

    fn ago(tag: &str, zone: Tz, seconds: u64) -> String {
        relative(Locale::new(tag, zone), now() - Duration::from_secs(seconds), now())
    }

    #[test]
    fn a_time_is_told_in_the_largest_fitting_unit() {
        let english = |seconds| ago("en", Tz::UTC, seconds);
        assert_eq!(english(5), "just now");
        assert_eq!(english(38 * 60), "38 min ago");
        assert_eq!(english(2 * 3600), "2 h ago");
        assert_eq!(english(20 * 3600), "yesterday");
        assert_eq!(english(2 * 86_400), "Tue");
        assert_eq!(english(10 * 86_400), "2 Mar");
        assert_eq!(english(400 * 86_400), "5 Feb 2025");
    }

    #[test]
    fn a_field_holds_a_time_of_the_reader() {
        let vienna = Locale::new("de", Tz::Europe__Vienna);
        assert_eq!(field(vienna, now()), "2026-03-12T10:50");
        assert_eq!(parse_field(vienna, "2026-03-12T10:50:00"), Some(now()));
        for text in ["", "2026-03-12", "2026-02-30T10:00", "2026-03-29T02:30", "tomorrow at nine o'clock"] {
            assert_eq!(parse_field(vienna, text), None, "{text}");
        }
    }

    #[test]
    fn the_language_and_the_time_zone_are_those_of_the_reader() {
        assert_eq!(ago("de", Tz::UTC, 38 * 60), "vor 38 Min.");
        assert_eq!(ago("de", Tz::UTC, 10 * 86_400), "2. März");
        let time = now() - Duration::from_secs(9 * 3600 + 3000);
        assert_eq!(exact(Locale::new("en", Tz::UTC), time), "12 March 2026, 00:00");
        assert_eq!(exact(Locale::new("en", Tz::America__New_York), time), "11 March 2026, 20:00");
        assert_eq!(exact(Locale::new("de", Tz::Europe__Vienna), time), "12. März 2026, 01:00");
    }
}
