//! Money (ISO 4217): minor units in the program and the database, decimal strings in the API.

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

/// Amounts are below this many minor units, so that the sum of two fits into 64 bits.
pub(crate) const LIMIT: i64 = 1_000_000_000_000_000_000;
/// The database sums the quotients and the remainders of this divisor separately, so that sums do not overflow.
pub(crate) const PART: i64 = 1_000_000_000;

/// A currency, by its ISO 4217 code. Codes without a minor unit, such as gold, are not accepted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, DeriveValueType)]
#[serde(transparent)]
pub struct Currency(String);

impl Currency {
    /// The currency with a code, in upper or lower case.
    pub fn from_code(code: &str) -> Option<Self> {
        let code = code.to_ascii_uppercase();
        let currency = iso_currency::Currency::from_code(&code)?;
        currency.exponent().map(|_| Self(code))
    }

    /// The code: `EUR`.
    pub fn code(&self) -> &str {
        &self.0
    }

    /// The number of decimal places: 2 for the euro, 0 for the yen, 3 for the Kuwaiti dinar.
    pub fn exponent(&self) -> u32 {
        let currency = iso_currency::Currency::from_code(&self.0);
        currency.and_then(iso_currency::Currency::exponent).map_or(2, u32::from)
    }

    /// The minor units of a sum that [`format`](Self::format) has written, which may be larger than an amount.
    pub fn minor(&self, sum: &str) -> Option<i128> {
        parse_digits(sum, self.exponent() as usize).ok()
    }

    /// Formats minor units with all decimal places of the currency: `1200.50`.
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

/// Required of columns in a primary key; the database never generates a currency.
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
        Self::from_code(&code).ok_or_else(|| D::Error::custom("expected an ISO 4217 currency code such as EUR"))
    }
}

impl PartialSchema for Currency {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).examples([serde_json::json!("EUR")]).into()
    }
}

impl ToSchema for Currency {}

/// An amount from an input: a decimal string or an integer. Its minor units depend on the currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount(String);

impl Amount {
    /// An amount from text, which is parsed later.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The amount in minor units of a currency, without rounding.
    ///
    /// # Errors
    /// A message for people, if it is not a plain decimal number, has too many decimal places, or is too large.
    pub fn minor(&self, currency: &Currency) -> Result<i64, String> {
        let exponent = currency.exponent() as usize;
        parse_units(&self.0, exponent).map_err(|error| match error {
            ParseError::TooPrecise => format!("{currency} has {exponent} decimal places."),
            error => error.to_string(),
        })
    }
}

/// Why a text is not a valid number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum ParseError {
    #[error("Must be a plain decimal number such as 1200.50.")]
    Syntax,
    #[error("Too many decimal places.")]
    TooPrecise,
    #[error("The number is too large.")]
    TooLarge,
}

/// Parses a plain decimal number of any size, in units of the last of this many decimal places.
fn parse_digits(text: &str, places: usize) -> Result<i128, ParseError> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (integer, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let ends_with_point = unsigned.contains('.') && fraction.is_empty();
    if integer.is_empty() || !is_digits(integer) || !is_digits(fraction) || ends_with_point || unsigned.len() > 40 {
        return Err(ParseError::Syntax);
    }
    if fraction.len() > places {
        return Err(ParseError::TooPrecise);
    }
    let digits = format!("{integer}{fraction:0<places$}");
    let units: i128 = digits.parse().map_err(|_| ParseError::TooLarge)?;
    Ok(if text.starts_with('-') { -units } else { units })
}

/// Parses a plain decimal number with at most this many decimal places, in units of the last place.
fn parse_units(text: &str, places: usize) -> Result<i64, ParseError> {
    let units = i64::try_from(parse_digits(text, places)?).map_err(|_| ParseError::TooLarge)?;
    if units.abs() < LIMIT { Ok(units) } else { Err(ParseError::TooLarge) }
}

/// Parses a plain decimal number with at most this many decimal places, in units of the last place.
///
/// # Errors
/// A message for people.
pub(crate) fn parse_fixed_point(text: &str, places: usize) -> Result<i64, String> {
    parse_units(text, places).map_err(|error| match error {
        ParseError::TooPrecise => format!("At most {places} decimal places are allowed."),
        error => error.to_string(),
    })
}

/// Formats a fixed-point number without trailing zeros.
pub(crate) fn format_fixed_point(units: i64, places: usize) -> String {
    let digits = format!("{:0width$}", units.unsigned_abs(), width = places + 1);
    let (integer, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    let (sign, point) = (if units < 0 { "-" } else { "" }, if fraction.is_empty() { "" } else { "." });
    format!("{sign}{integer}{point}{fraction}")
}

impl Amount {
    /// The number in units of the last of this many decimal places, without rounding.
    ///
    /// # Errors
    /// A message for people.
    pub(crate) fn units(&self, places: usize) -> Result<i64, String> {
        parse_fixed_point(&self.0, places)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AmountVisitor;

        impl Visitor<'_> for AmountVisitor {
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
                // Most JSON parsers read a fraction as a float, which cannot represent 0.1 exactly.
                Err(E::invalid_type(Unexpected::Float(number), &self))
            }
        }

        deserializer.deserialize_any(AmountVisitor)
    }
}

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).examples([serde_json::json!("1200.50")]).into()
    }
}

impl ToSchema for Amount {}

/// Divides and rounds half to even. No other function rounds money.
pub(crate) fn divide_half_even(dividend: i128, divisor: i128) -> i128 {
    let (quotient, remainder) = (dividend.div_euclid(divisor), dividend.rem_euclid(divisor));
    match (remainder * 2).cmp(&divisor) {
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
    fn an_amount_has_no_more_decimal_places_than_its_currency() {
        assert_eq!(minor("1200.50", "EUR"), Ok(120_050));
        assert_eq!(minor("1200.5", "EUR"), Ok(120_050));
        assert_eq!(minor("0", "EUR"), Ok(0));
        assert_eq!(minor("-5.00", "EUR"), Ok(-500));
        assert_eq!(minor("1.234", "KWD"), Ok(1_234));
        assert_eq!(minor("100", "JPY"), Ok(100));
        for (text, code) in [("1.001", "EUR"), ("100.5", "JPY"), ("1.2345", "KWD")] {
            assert!(minor(text, code).unwrap_err().contains("decimal places"), "{text} {code}");
        }
    }

    #[test]
    fn only_plain_decimal_numbers_are_parsed() {
        for text in ["", "-", "1e3", "NaN", "Infinity", "1,000", "+1", " 1", "1.", ".5", "0x1", "١", "--1", "1.0.0"] {
            assert!(minor(text, "EUR").is_err(), "{text}");
        }
        assert_eq!(minor("9999999999999999.99", "EUR"), Ok(LIMIT - 1));
        assert!(minor("10000000000000000.00", "EUR").is_err());
        assert!(minor(&"9".repeat(39), "EUR").is_err());
    }

    #[test]
    fn a_sum_of_any_size_is_parsed_back() {
        for (text, code) in [("90000000000000000000.01", "EUR"), ("-90000000000000000000", "JPY"), ("0.00", "EUR")] {
            let currency = currency(code);
            assert_eq!(currency.minor(text).map(|minor| currency.format(minor)).as_deref(), Some(text));
        }
        assert_eq!(currency("EUR").minor("1,50"), None);
    }

    #[test]
    fn json_strings_and_integers_are_accepted_and_floats_refused() {
        let parse = |text: &str| serde_json::from_str::<Amount>(text);
        assert_eq!(parse("\"0.10\"").unwrap(), Amount::new("0.10"));
        assert_eq!(parse("25").unwrap(), Amount::new("25"));
        for text in ["0.1", "1e3", "true", "null", "[]"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_currencies_with_a_minor_unit_are_accepted() {
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
        fn a_formatted_amount_is_parsed_back(minor in -(LIMIT - 1)..LIMIT, index in 0_usize..4) {
            let currency = currency(["JPY", "EUR", "KWD", "CLF"][index]);
            let text = currency.format(i128::from(minor));
            proptest::prop_assert_eq!(Amount::new(text).minor(&currency), Ok(minor));
        }

        #[test]
        fn fuzz_numbers_are_parsed_exactly(text in "-?[0-9]{0,22}[.,eE+ _٣]?[0-9]{0,6}", places in 0_usize..5) {
            if let Ok(units) = parse_fixed_point(&text, places) {
                let formatted = format_fixed_point(units, places);
                let normalize = |text: &str| {
                    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |unsigned| ("-", unsigned));
                    let (integer, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
                    let (integer, fraction) = (integer.trim_start_matches('0'), fraction.trim_end_matches('0'));
                    if integer.is_empty() && fraction.is_empty() {
                        return String::new();
                    }
                    format!("{sign}{integer}.{fraction}")
                };
                proptest::prop_assert_eq!(normalize(&text), normalize(&formatted));
            }
        }
    }
}
