//! Calendar dates.

use std::fmt;

use sea_orm::{DbErr, DeriveValueType, TryFromU64};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

/// A calendar date: `2025-09-01`. It is stored as the same text, which sorts by date.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, DeriveValueType)]
#[serde(transparent)]
pub struct Day(String);

impl Day {
    /// Parses a date from 1900 to 9999.
    pub fn parse(text: &str) -> Option<Self> {
        let is_canonical = text.len() == 10 && text.is_ascii() && text >= "1900-01-01";
        let is_valid = is_canonical && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok();
        is_valid.then(|| Self(text.to_owned()))
    }

    /// The date of a time in UTC.
    pub fn of(time: guildhall_kernel::Timestamp) -> Self {
        Self(time.to_string().chars().take(10).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Required of columns in a primary key; the database never generates a date.
impl TryFromU64 for Day {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::ConvertFromU64("Day"))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("expected a date such as 2025-09-01"))
    }
}

impl PartialSchema for Day {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)))
            .examples([serde_json::json!("2025-09-01")])
            .into()
    }
}

impl ToSchema for Day {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_is_parsed() {
        assert_eq!(Day::parse("2024-02-29").unwrap().as_str(), "2024-02-29");
        for text in ["2025-02-29", "2025-2-1", "25-02-01", "2025-02-01T00:00:00Z", "", "1899-12-31", "２０２５-01-01"]
        {
            assert_eq!(Day::parse(text), None, "{text}");
        }
        let time = guildhall_kernel::Timestamp::from_unix_seconds(1_735_986_600);
        assert_eq!(Day::of(time).as_str(), "2025-01-04");
    }
}
