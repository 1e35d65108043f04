//! Money: whole minor units inside, decimal strings outside (ISO 4217).

use std::fmt;

use sea_orm::{DbErr, DeriveValueType, TryFromU64};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, Unexpected, Visitor},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

/// Amounts stay below this many minor units, so that the sum of two still fits.
pub(crate) const LIMIT: i64 = 1_000_000_000_000_000_000;
/// Sums are kept in two parts of this size, since neither database adds up large numbers of 64 bits.
pub(crate) const PART: i64 = 1_000_000_000;

/// A currency by its code of three letters (ISO 4217), one that has a minor unit: gold has none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, DeriveValueType)]
#[serde(transparent)]
pub struct Currency(String);

impl Currency {
    /// The currency with this code, in any case.
    pub fn from_code(code: &str) -> Option<Self> {
        let code = code.to_ascii_uppercase();
        let known = iso_currency::Currency::from_code(&code)?;
        known.exponent().map(|_| Self(code))
    }

    /// The code: `EUR`.
    pub fn code(&self) -> &str {
        &self.0
    }

    /// How many digits follow the point: 2 for the euro, 0 for the yen, 3 for the Kuwaiti dinar.
    pub fn exponent(&self) -> u32 {
        let known = iso_currency::Currency::from_code(&self.0);
        known.and_then(iso_currency::Currency::exponent).map_or(2, u32::from)
    }

    /// An amount of minor units with exactly the currency's digits: `1200.50`.
    pub fn format(&self, minor: i128) -> String {
        let exponent = self.exponent();
        if exponent == 0 {
            return minor.to_string();
        }
        let unit = 10_u128.pow(exponent);
        let (whole, rest) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
        let sign = if minor < 0 { "-" } else { "" };
        let width = exponent as usize;
        format!("{sign}{whole}.{rest:0width$}")
    }
}

/// No database makes currencies up.
impl TryFromU64 for Currency {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::ConvertFromU64("Currency"))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code).ok_or_else(|| D::Error::custom("expected a currency of ISO 4217 like EUR"))
    }
}

impl PartialSchema for Currency {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).examples([serde_json::json!("EUR")]).into()
    }
}

impl ToSchema for Currency {}

/// An amount as it was typed: a decimal string, or a whole number. What it is in minor units depends on the
/// currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount(String);

impl Amount {
    /// An amount that was typed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The amount in minor units of a currency; nothing is rounded.
    ///
    /// # Errors
    /// In words for people, where it is no plain decimal number, has more digits than the currency, or is too
    /// large.
    pub fn minor(&self, currency: &Currency) -> Result<i64, String> {
        let exponent = currency.exponent() as usize;
        read_fixed_point(&self.0, exponent).map_err(|fault| match fault {
            Fault::Digits => format!("{currency} has {exponent} digits after the point."),
            fault => fault.to_string(),
        })
    }
}

/// Why a text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("A plain decimal number like 1200.50 is needed.")]
    Shape,
    #[error("There are too many digits after the point.")]
    Digits,
    #[error("That is too much.")]
    Size,
}

/// A plain decimal number with up to so many digits after the point, in units of the last of them. Nothing is
/// rounded.
fn read_fixed_point(text: &str, places: usize) -> Result<i64, Fault> {
    let digits_of = text.strip_prefix('-').unwrap_or(text);
    let (whole, rest) = digits_of.split_once('.').unwrap_or((digits_of, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let pointed = digits_of.contains('.');
    if whole.is_empty() || !digits(whole) || !digits(rest) || (pointed && rest.is_empty()) || digits_of.len() > 40 {
        return Err(Fault::Shape);
    }
    if rest.len() > places {
        return Err(Fault::Digits);
    }
    let digits = format!("{whole}{rest:0<places$}");
    let units: i64 = digits.trim_start_matches('0').parse().or_else(|_| {
        // Nothing but noughts.
        if digits.bytes().all(|byte| byte == b'0') { Ok(0) } else { Err(Fault::Size) }
    })?;
    if units >= LIMIT {
        return Err(Fault::Size);
    }
    Ok(if text.starts_with('-') { -units } else { units })
}

/// A plain decimal number with up to so many digits after the point, in units of the last of them.
///
/// # Errors
/// In words for people.
pub(crate) fn fixed_point(text: &str, places: usize) -> Result<i64, String> {
    read_fixed_point(text, places).map_err(|fault| match fault {
        Fault::Digits => format!("There are at most {places} digits after the point."),
        fault => fault.to_string(),
    })
}

/// The number as it is written, without noughts that say nothing.
pub(crate) fn write_fixed_point(units: i64, places: usize) -> String {
    let digits = format!("{:0width$}", units.unsigned_abs(), width = places + 1);
    let (whole, rest) = digits.split_at(digits.len() - places);
    let rest = rest.trim_end_matches('0');
    let (sign, point) = (if units < 0 { "-" } else { "" }, if rest.is_empty() { "" } else { "." });
    format!("{sign}{whole}{point}{rest}")
}

impl Amount {
    /// The number in units of the last of so many digits after the point; nothing is rounded.
    ///
    /// # Errors
    /// In words for people.
    pub(crate) fn units(&self, places: usize) -> Result<i64, String> {
        fixed_point(&self.0, places)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Typed;

        impl Visitor<'_> for Typed {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal string like \"1200.50\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Amount, E> {
                Ok(Amount(text.to_owned()))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Amount, E> {
                Ok(Amount(number.to_string()))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Amount, E> {
                Ok(Amount(number.to_string()))
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Amount, E> {
                // A JSON fraction is a float for most who read it, and 0.1 is none.
                Err(E::invalid_type(Unexpected::Float(number), &self))
            }
        }

        deserializer.deserialize_any(Typed)
    }
}

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).examples([serde_json::json!("1200.50")]).into()
    }
}

impl ToSchema for Amount {}

/// Divides and rounds half to even, once: the one place where money is rounded.
pub(crate) fn divide_half_even(dividend: i128, divisor: i128) -> i128 {
    let (quotient, rest) = (dividend.div_euclid(divisor), dividend.rem_euclid(divisor));
    match (rest * 2).cmp(&divisor) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + (quotient & 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::from_code(code).unwrap()
    }

    fn minor(text: &str, code: &str) -> Result<i64, String> {
        Amount::new(text).minor(&currency(code))
    }

    #[test]
    fn an_amount_has_no_more_digits_than_its_currency() {
        assert_eq!(minor("1200.50", "EUR"), Ok(120_050));
        assert_eq!(minor("1200.5", "EUR"), Ok(120_050));
        assert_eq!(minor("0", "EUR"), Ok(0));
        assert_eq!(minor("-5.00", "EUR"), Ok(-500));
        assert_eq!(minor("1.234", "KWD"), Ok(1_234));
        assert_eq!(minor("100", "JPY"), Ok(100));
        for (text, code) in [("1.001", "EUR"), ("100.5", "JPY"), ("1.2345", "KWD")] {
            assert!(minor(text, code).unwrap_err().contains("digits after the point"), "{text} {code}");
        }
    }

    #[test]
    fn what_is_no_plain_number_is_refused() {
        for text in ["", "-", "1e3", "NaN", "Infinity", "1,000", "+1", " 1", "1.", ".5", "0x1", "١", "--1", "1.0.0"] {
            assert!(minor(text, "EUR").is_err(), "{text}");
        }
        assert_eq!(minor("9999999999999999.99", "EUR"), Ok(LIMIT - 1));
        assert!(minor("10000000000000000.00", "EUR").is_err());
        assert!(minor(&"9".repeat(39), "EUR").is_err());
    }

    #[test]
    fn a_fraction_in_json_is_refused_and_a_whole_number_taken() {
        let read = |text: &str| serde_json::from_str::<Amount>(text);
        assert_eq!(read("\"0.10\"").unwrap(), Amount::new("0.10"));
        assert_eq!(read("25").unwrap(), Amount::new("25"));
        for text in ["0.1", "1e3", "true", "null", "[]"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn currencies_are_those_with_a_minor_unit() {
        assert_eq!(["JPY", "EUR", "KWD", "CLF"].map(|code| currency(code).exponent()), [0, 2, 3, 4]);
        assert_eq!(currency("eur").code(), "EUR");
        for code in ["XAU", "XXX", "EURO", "", "ZZZ", "€"] {
            assert_eq!(Currency::from_code(code), None, "{code}");
        }
    }

    #[test]
    fn rounding_is_half_to_even() {
        for (dividend, rounded) in [(25, 2), (35, 4), (26, 3), (24, 2), (-25, -2), (-35, -4), (0, 0)] {
            assert_eq!(divide_half_even(dividend, 10), rounded, "{dividend}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(minor in -(LIMIT - 1)..LIMIT, which in 0_usize..4) {
            let currency = currency(["JPY", "EUR", "KWD", "CLF"][which]);
            let shown = currency.format(i128::from(minor));
            proptest::prop_assert_eq!(Amount::new(shown).minor(&currency), Ok(minor));
        }

        #[test]
        fn fuzz_a_number_is_what_was_typed_or_is_refused(text in "-?[0-9]{0,22}[.,eE+ _٣]?[0-9]{0,6}", places in 0_usize..5) {
            if let Ok(units) = fixed_point(&text, places) {
                let shown = write_fixed_point(units, places);
                let bare = |text: &str| {
                    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
                    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
                    let (whole, rest) = (whole.trim_start_matches('0').to_owned(), rest.trim_end_matches('0').to_owned());
                    if whole.is_empty() && rest.is_empty() { String::new() } else { format!("{sign}{whole}.{rest}") }
                };
                proptest::prop_assert_eq!(bare(&text), bare(&shown));
            }
        }
    }
}
