//! Places on a board: texts whose order of bytes is the order of the cards, with room between any two.
//!
//! The midpoint is that of fractional indexing as Figma describes it, over digits of base 62. Of the crates for
//! it the one that was tried runs out of room in front of the first card after some sixty moves there.

use guildhall_kernel::Timestamp;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE: usize = DIGITS.len();
/// How many digits a moment has: enough for four hundred years of microseconds.
pub(crate) const MOMENT: usize = 9;
const NUMBER: usize = 7;

fn digits(mut value: u64, count: usize) -> String {
    let mut text = vec![b'0'; count];
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(value % BASE as u64).unwrap_or_default()];
        value /= BASE as u64;
    }
    text.into_iter().map(char::from).collect()
}

fn value(digit: u8) -> usize {
    DIGITS.iter().position(|known| *known == digit).unwrap_or_default()
}

/// A place behind everything that came to a stage before: made of the moment and the deal's number, so that
/// nobody has to look for the last place, and no two are the same.
pub(crate) fn at_the_end(now: Timestamp, number: i64) -> String {
    let moment = digits(now.unix_micros().unsigned_abs(), MOMENT);
    // It ends with a digit that leaves room on both sides.
    format!("{moment}{}V", digits(number.unsigned_abs(), NUMBER))
}

/// The place between two, or in front of the second one; none where the first does not stand before the second.
pub(crate) fn between(low: Option<&str>, high: &str) -> Option<String> {
    let low = low.unwrap_or_default();
    (low < high && !high.ends_with('0')).then(|| midpoint(low.as_bytes(), Some(high.as_bytes())))
}

/// The place behind one.
pub(crate) fn behind(low: &str) -> String {
    midpoint(low.as_bytes(), None)
}

fn midpoint(low: &[u8], high: Option<&[u8]>) -> String {
    let digit = |at: usize| low.get(at).copied().unwrap_or(b'0');
    if let Some(high) = high {
        let same = high.iter().enumerate().take_while(|(at, own)| digit(*at) == **own).count();
        if same > 0 {
            let rest = midpoint(low.get(same..).unwrap_or_default(), Some(high.get(same..).unwrap_or_default()));
            return high.iter().take(same).copied().map(char::from).chain(rest.chars()).collect();
        }
    }
    let first = low.first().copied().map_or(0, value);
    let last = high.and_then(|high| high.first()).copied().map_or(BASE, value);
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
    fn places_at_the_end_follow_time_and_number() {
        let moments = [0, 1, 61, 62, 1_735_986_600_000_000, 1_735_986_600_000_001].map(Timestamp::from_unix_micros);
        let mut places = Vec::new();
        for moment in moments {
            places.extend([1, 2, 61, 62, 10_000, 1_000_000].map(|number| at_the_end(moment, number)));
        }
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{places:?}");
    }

    #[test]
    fn there_is_always_room_in_front_behind_and_between() {
        let first = at_the_end(Timestamp::from_unix_micros(1_735_986_600_000_000), 1);
        let (mut top, mut bottom) = (first.clone(), first.clone());
        for _ in 0..1000 {
            let next = between(None, &top).unwrap();
            assert!(next < top && !next.ends_with('0'), "{next} {top}");
            let inside = between(Some(&next), &top).unwrap();
            assert!(next < inside && inside < top);
            top = next;
            let next = behind(&bottom);
            assert!(next > bottom && !next.ends_with('0'));
            bottom = next;
        }
        assert!(top.len() < 250 && bottom.len() < 250, "{} {}", top.len(), bottom.len());
        assert_eq!((between(Some("B"), "A"), between(Some("A"), "A")), (None, None));
    }

    proptest::proptest! {
        #[test]
        fn what_is_between_is_between(low in "[0-9A-Za-z]{0,6}[1-9A-Za-z]", high in "[0-9A-Za-z]{0,6}[1-9A-Za-z]") {
            let (low, high) = if low < high { (low, high) } else { (high, low) };
            if low != high {
                let mid = between(Some(&low), &high).unwrap();
                proptest::prop_assert!(low < mid && mid < high && !mid.ends_with('0'), "{low} {mid} {high}");
            }
        }
    }
}
