use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::DeriveValueType;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

/// A moment in UTC, to the microsecond.
///
/// Stored as microseconds since the Unix epoch: the same eight bytes on both databases, so that
/// equality, order and index ranges mean the same everywhere. Written in JSON as RFC 3339 with
/// exactly six digits and `Z`; read from RFC 3339 in any offset and cut to microseconds. What counts as
/// now is always set by the program, never by a database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// 10000-01-01T00:00:00Z: RFC 3339 writes years with four digits.
    const END: Self = Self(253_402_300_800_000_000);

    /// Seconds since the Unix epoch, rounded down: what a JWT's `NumericDate` holds (RFC 7519 §2).
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The moment at which a `NumericDate` points.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// The moment so many microseconds after the Unix epoch.
    pub fn from_unix_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub fn unix_micros(self) -> i64 {
        self.0
    }

    /// The system's clock, read once. Services ask their [`Clock`] instead.
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
    pub fn now() -> Self {
        Self(Utc::now().timestamp_micros())
    }

    /// The moment in words for people, to the minute: `4 January 2025, 10:30 UTC`.
    pub fn for_people(self) -> String {
        let moment = DateTime::from_timestamp_micros(self.0).unwrap_or_default();
        moment.format("%-d %B %Y, %H:%M UTC").to_string()
    }

    /// The moment as calendars write it (RFC 5545 §3.3.5), to the second: `20250104T103000Z`.
    pub fn for_calendars(self) -> String {
        let moment = DateTime::from_timestamp_micros(self.0).unwrap_or_default();
        moment.format("%Y%m%dT%H%M%SZ").to_string()
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// SeaORM takes a column by this name for a moment and lets it be compared with moments only.
impl sea_orm::sea_query::DateTimeLikeValue for Timestamp {}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = DateTime::from_timestamp_micros(self.0).unwrap_or_default();
        f.write_str(&moment.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads RFC 3339 in any offset; from 1970 to 9999, so that it can be stored and written again.
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment = DateTime::parse_from_rfc3339(&text)
            .map_err(|_| D::Error::custom("expected a time like 2025-01-04T10:30:00Z"))?;
        let moment = Self(moment.timestamp_micros());
        if (Self::EPOCH..Self::END).contains(&moment) {
            Ok(moment)
        } else {
            Err(D::Error::custom("expected a time from 1970 to 9999"))
        }
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .examples([serde_json::json!("2025-01-04T10:30:00.000000Z")])
            .into()
    }
}

impl ToSchema for Timestamp {}

/// Where a service reads the time, so that a test can move it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// A clock that says what `now` returns.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_with_six_digits_and_a_z() {
        let moment = Timestamp::from_unix_seconds(1_735_986_600);
        assert_eq!(moment.to_string(), "2025-01-04T10:30:00.000000Z");
        assert_eq!(moment.for_people(), "4 January 2025, 10:30 UTC");
        let later = moment + Duration::from_micros(7);
        assert_eq!(later.to_string(), "2025-01-04T10:30:00.000007Z");
    }

    fn read(text: &str) -> Result<Timestamp, String> {
        serde_json::from_value(serde_json::json!(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_moment_is_read_in_any_offset_and_cut_to_microseconds() {
        for text in [
            "2025-01-04T10:30:00Z",
            "2025-01-04T11:30:00+01:00",
            "2025-01-04T05:00:00.000000999-05:30",
            "2025-01-04t10:30:00.000z",
        ] {
            assert_eq!(read(text).unwrap(), Timestamp::from_unix_seconds(1_735_986_600), "{text}");
        }
        for moment in [Timestamp::EPOCH, Timestamp(Timestamp::END.0 - 1), Timestamp(1_735_986_600_000_007)] {
            assert_eq!(read(&moment.to_string()).unwrap(), moment);
        }
        assert_eq!(read("2025-01-04T10:30:00Z").unwrap().for_calendars(), "20250104T103000Z");
    }

    #[test]
    fn what_is_no_moment_of_ours_is_refused() {
        for text in ["", "tomorrow", "2025-01-04", "2025-01-04T10:30:00", "2025-02-30T10:30:00Z", "1735986600"] {
            assert!(read(text).unwrap_err().contains("like 2025-01-04T10:30:00Z"), "{text}");
        }
        for text in
            ["1969-12-31T23:59:59Z", "1970-01-01T00:30:00+01:00", "9999-12-31T23:30:00-01:00", "0000-01-01T00:00:00Z"]
        {
            assert!(read(text).unwrap_err().contains("1970 to 9999"), "{text}");
        }
        assert!(serde_json::from_str::<Timestamp>("1735986600").is_err());
    }

    #[test]
    fn seconds_are_rounded_down_on_both_sides_of_the_epoch() {
        let epoch = Timestamp::from_unix_seconds(0);
        assert_eq!((epoch + Duration::from_millis(1_999)).unix_seconds(), 1);
        assert_eq!((epoch - Duration::from_millis(1)).unix_seconds(), -1);
    }
}
