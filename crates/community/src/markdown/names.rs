//! Mentioned names in texts.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;

/// The maximum length of a mentioned name, in characters.
pub(super) const MAX_NAME_LENGTH: usize = 150;

/// The ranges of names after an `@`, except in email addresses and URLs.
pub(super) fn mention_ranges(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices('@').filter_map(move |(at_sign, _)| {
        let before = text[..at_sign].chars().next_back();
        if before.is_some_and(|c| is_name_char(c) || matches!(c, '@' | '/')) {
            return None;
        }
        let rest = &text[at_sign + 1..];
        let (name, tail) = rest.split_at(rest.find(|c: char| !is_name_char(c)).unwrap_or(rest.len()));
        // `@anna@example.org` refers to an account on another server.
        if tail.starts_with('@') {
            return None;
        }
        let name = name.trim_end_matches(['.', '+', '-']);
        let is_valid_start = name.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        (is_valid_start && name.chars().count() <= MAX_NAME_LENGTH).then_some(at_sign + 1..at_sign + 1 + name.len())
    })
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '.' | '+' | '-' | '_')
}
