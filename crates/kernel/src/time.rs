use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::DeriveValueType;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

/// A point in time in UTC, with microsecond precision.
///
/// Stored as microseconds since the Unix epoch, so that equality, order and index ranges are the same on both
/// databases. Serialized as RFC 3339 with six fractional digits and `Z`; deserialized from RFC 3339 with any offset and
/// truncated to microseconds. The current time always comes from the program, never from a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// 10000-01-01T00:00:00Z: RFC 3339 writes years with four digits.
    const END: Self = Self(253_402_300_800_000_000);

    /// Seconds since the Unix epoch, rounded down: the `NumericDate` of a JWT (RFC 7519 §2).
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The time of a `NumericDate`.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// The time this many microseconds after the Unix epoch.
    pub fn from_unix_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub fn unix_micros(self) -> i64 {
        self.0
    }

    /// The current time of the system clock. Services use their [`Clock`] instead.
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the system clock")]
    pub fn now() -> Self {
        Self(Utc::now().timestamp_micros())
    }

    /// The time as text for people, to the minute: `4 January 2025, 10:30 UTC`.
    pub fn for_people(self) -> String {
        let time = DateTime::from_timestamp_micros(self.0).unwrap_or_default();
        time.format("%-d %B %Y, %H:%M UTC").to_string()
    }

    /// The time in iCalendar format (RFC 5545 §3.3.5), to the second: `20250104T103000Z`.
    pub fn for_calendars(self) -> String {
        let time = DateTime::from_timestamp_micros(self.0).unwrap_or_default();
        time.format("%Y%m%dT%H%M%SZ").to_string()
    }

    /// The duration since `earlier`; zero if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// SeaORM recognizes a type of this name as a time column, which compares only with types that implement this trait.
impl sea_orm::sea_query::DateTimeLikeValue for Timestamp {}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::from_timestamp_micros(self.0).unwrap_or_default();
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Accepts RFC 3339 with any offset, from 1970 to 9999, which is the range that can be serialized again.
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = DateTime::parse_from_rfc3339(&text)
            .map_err(|_| D::Error::custom("expected a time like 2025-01-04T10:30:00Z"))?;
        let time = Self(time.timestamp_micros());
        if (Self::EPOCH..Self::END).contains(&time) {
            Ok(time)
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

/// The clock of a service, which a test can control.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// A clock that returns the result of `now`.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The current time.
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
    fn a_timestamp_is_serialized_with_six_digits_and_z() {
        let timestamp = Timestamp::from_unix_seconds(1_735_986_600);
        assert_eq!(timestamp.to_string(), "2025-01-04T10:30:00.000000Z");
        assert_eq!(timestamp.for_people(), "4 January 2025, 10:30 UTC");
        let later = timestamp + Duration::from_micros(7);
        assert_eq!(later.to_string(), "2025-01-04T10:30:00.000007Z");
    }

    fn read(text: &str) -> Result<Timestamp, String> {
        serde_json::from_value(serde_json::json!(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_timestamp_is_read_with_any_offset_and_truncated_to_microseconds() {
        for text in [
            "2025-01-04T10:30:00Z",
            "2025-01-04T11:30:00+01:00",
            "2025-01-04T05:00:00.000000999-05:30",
            "2025-01-04t10:30:00.000z",
        ] {
            assert_eq!(read(text).unwrap(), Timestamp::from_unix_seconds(1_735_986_600), "{text}");
        }
        for timestamp in [Timestamp::EPOCH, Timestamp(Timestamp::END.0 - 1), Timestamp(1_735_986_600_000_007)] {
            assert_eq!(read(&timestamp.to_string()).unwrap(), timestamp);
        }
        assert_eq!(read("2025-01-04T10:30:00Z").unwrap().for_calendars(), "20250104T103000Z");
    }

    #[test]
    fn other_formats_and_years_are_refused() {
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
