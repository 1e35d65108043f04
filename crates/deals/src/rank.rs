//! Fractional indexing: ranks are strings in base 62 whose byte order is the order of the cards on a board. There is
//! always a rank between two others, so moving a card writes one row.
//!
//! The midpoint is that of Figma's fractional indexing. It is written by hand because the crate that was tried runs out
//! of ranks after some sixty moves to the top.

use guildhall_kernel::Timestamp;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE: usize = DIGITS.len();
/// The length of the timestamp in a rank: enough for four hundred years of microseconds.
pub(crate) const TIMESTAMP_DIGITS: usize = 9;
const NUMBER_DIGITS: usize = 7;

fn to_base62(mut value: u64, count: usize) -> String {
    let mut text = vec![b'0'; count];
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(value % BASE as u64).unwrap_or_default()];
        value /= BASE as u64;
    }
    text.into_iter().map(char::from).collect()
}

fn digit_value(digit: u8) -> usize {
    DIGITS.iter().position(|candidate| *candidate == digit).unwrap_or_default()
}

/// Returns a rank after all earlier ones of a stage. It is built from the time and the deal's number, so it is unique
/// and needs no query for the last card.
pub(crate) fn last(now: Timestamp, number: i64) -> String {
    let timestamp = to_base62(now.unix_micros().unsigned_abs(), TIMESTAMP_DIGITS);
    // The last digit is in the middle of the range, which leaves room on both sides.
    format!("{timestamp}{}V", to_base62(number.unsigned_abs(), NUMBER_DIGITS))
}

/// Returns a rank between two others, or before `high` without `low`; `None` if `low` is not less than `high`.
pub(crate) fn between(low: Option<&str>, high: &str) -> Option<String> {
    let low = low.unwrap_or_default();
    (low < high && !high.ends_with('0')).then(|| midpoint(low.as_bytes(), Some(high.as_bytes())))
}

/// Returns a rank after another one.
pub(crate) fn after(low: &str) -> String {
    midpoint(low.as_bytes(), None)
}

fn midpoint(low: &[u8], high: Option<&[u8]>) -> String {
    let low_digit = |index: usize| low.get(index).copied().unwrap_or(b'0');
    if let Some(high) = high {
        let prefix = high.iter().enumerate().take_while(|(index, digit)| low_digit(*index) == **digit).count();
        if prefix > 0 {
            let rest = midpoint(low.get(prefix..).unwrap_or_default(), Some(high.get(prefix..).unwrap_or_default()));
            return high.iter().take(prefix).copied().map(char::from).chain(rest.chars()).collect();
        }
    }
    let first = low.first().copied().map_or(0, digit_value);
    let last = high.and_then(|high| high.first()).copied().map_or(BASE, digit_value);
    if last > first + 1 {
        return char::from(DIGITS[usize::midpoint(first, last)]).into();
    }
    match high {
        Some(high) if high.len() > 1 => char::from(high[0]).into(),
        _ => {
            let rest = midpoint(low.get(1..).unwrap_or_default(), None);
            format!("{}{rest}", char::from(DIGITS[first]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_ranks_sort_by_time_and_number() {
        let times = [0, 1, 61, 62, 1_735_986_600_000_000, 1_735_986_600_000_001].map(Timestamp::from_unix_micros);
        let mut ranks = Vec::new();
        for time in times {
            ranks.extend([1, 2, 61, 62, 10_000, 1_000_000].map(|number| last(time, number)));
        }
        assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]), "{ranks:?}");
    }

    #[test]
    fn there_is_always_a_rank_before_after_and_between() {
        let first = last(Timestamp::from_unix_micros(1_735_986_600_000_000), 1);
        let (mut top, mut bottom) = (first.clone(), first.clone());
        for _ in 0..1000 {
            let next = between(None, &top).unwrap();
            assert!(next < top && !next.ends_with('0'), "{next} {top}");
            let inside = between(Some(&next), &top).unwrap();
            assert!(next < inside && inside < top);
            top = next;
            let next = after(&bottom);
            assert!(next > bottom && !next.ends_with('0'));
            bottom = next;
        }
        assert!(top.len() < 250 && bottom.len() < 250, "{} {}", top.len(), bottom.len());
        assert_eq!((between(Some("B"), "A"), between(Some("A"), "A")), (None, None));
    }

    proptest::proptest! {
        #[test]
        fn between_is_between(low in "[0-9A-Za-z]{0,6}[1-9A-Za-z]", high in "[0-9A-Za-z]{0,6}[1-9A-Za-z]") {
            let (low, high) = if low < high { (low, high) } else { (high, low) };
            if low != high {
                let mid = between(Some(&low), &high).unwrap();
                proptest::prop_assert!(low < mid && mid < high && !mid.ends_with('0'), "{low} {mid} {high}");
            }
        }
    }
}
