//! Figures of several runs, and how they are written.

use std::{fmt, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

/// The median and range of several runs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Spread {
    /// From the values of the runs, at least one.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let value = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self { median: value(values.len() / 2), min: value(0), max: value(values.len().saturating_sub(1)) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} ({}..{})", short(self.median), short(self.min), short(self.max)))
    }
}

/// Formats a number with its significant digits.
pub fn short(number: f64) -> String {
    if number < 10.0 {
        format!("{number:.2}")
    } else if number < 100.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}

/// Formats a number that may be missing.
pub fn short_or_dash(number: Option<f64>) -> String {
    number.map_or_else(|| "–".to_owned(), short)
}

/// Formats a ratio with two decimals.
pub fn ratio(number: f64) -> String {
    format!("{number:.2}")
}

/// Formats an amount of memory.
pub fn mib(kib: u32) -> String {
    format!("{:.1} MiB", f64::from(kib) / 1024.0)
}

/// Latency in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// The median.
    #[serde(rename = "p50_ms")]
    pub p50: f64,
    /// The 99th percentile.
    #[serde(rename = "p99_ms")]
    pub p99: f64,
    /// The maximum.
    #[serde(rename = "max_ms")]
    pub max: f64,
}

impl Latency {
    /// From a histogram of microseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |micros| Duration::from_micros(micros).as_secs_f64() * 1000.0;
        Self {
            p50: ms(histogram.value_at_quantile(0.5)),
            p99: ms(histogram.value_at_quantile(0.99)),
            max: ms(histogram.max()),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99, max) = (short(self.p50), short(self.p99), short(self.max));
        write!(f, "p50 {p50} ms, p99 {p99} ms, max {max} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_shows_median_minimum_and_maximum() {
        assert_eq!(Spread::of(vec![1200.4, 8.0, 42.0]).to_string(), "42.0 (8.00..1200)");
        assert_eq!(Spread::of(vec![3.0]).to_string(), "3.00 (3.00..3.00)");
        assert_eq!(format!("{:<6}|", Spread::of(Vec::new())), "NaN (NaN..NaN)|");
    }

    #[test]
    fn a_missing_number_is_a_dash() {
        assert_eq!([short_or_dash(Some(12.34)), short_or_dash(None)], ["12.3", "–"]);
        assert_eq!([ratio(0.8), mib(1536)], ["0.80", "1.5 MiB"]);
    }
}
