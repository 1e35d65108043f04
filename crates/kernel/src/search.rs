//! Full-text search with the same results on both databases.
//!
//! The program normalizes a text to terms and stores them in a column, which the database indexes by their spaces
//! alone ([`TextIndex`]). A [`SearchQuery`] is the text of a user in the syntax of that index.
//!
//! Where most texts are not the caller's, each is stored with terms for where it belongs ([`ScopeTerm`],
//! [`scoped_terms`]), and a query names the scopes to read ([`SearchQuery::within`]). They only save work: a text may
//! contain such a term, so a query has to check access and place besides.

mod index;
mod query;

pub use index::TextIndex;
pub use query::{Match, SearchQuery};

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::text;

/// A term of the index for everything that belongs to one object, such as the messages of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeTerm(String);

impl ScopeTerm {
    /// The scope of an object. `kind` is a lowercase ASCII letter that distinguishes the kinds of objects in an index.
    pub fn new(kind: char, id: i64) -> Self {
        Self(format!("zq{kind}{id}"))
    }
}

/// The terms of a text for the index. Scripts without spaces between words are indexed as bigrams, plus the last
/// character, so that any part of a run can be found.
pub fn terms(text: &str) -> String {
    let normalized = normalize(text);
    let mut terms = String::with_capacity(normalized.len());
    let mut add = |term: &str| {
        if !terms.is_empty() {
            terms.push(' ');
        }
        terms.push_str(term);
    };
    for run in normalized.split(' ').flat_map(runs) {
        if run.starts_with(is_unspaced) {
            for pair in pairs(run) {
                add(pair);
            }
            if let Some((last, _)) = run.char_indices().next_back() {
                add(&run[last..]);
            }
        } else {
            add(run);
        }
    }
    terms
}

/// The terms of a text that belongs to these scopes, for the index.
pub fn scoped_terms(scopes: impl IntoIterator<Item = ScopeTerm>, text: &str) -> String {
    let mut all = String::new();
    for ScopeTerm(term) in scopes {
        all.push_str(&term);
        all.push(' ');
    }
    all.push_str(&terms(text));
    all
}

/// Letters and digits without case and accents, and one space between words.
fn normalize(text: &str) -> String {
    let folded = text::fold(text);
    // Composed again, because otherwise a Hangul syllable is two or three characters.
    let plain: String = folded.nfkd().filter(|c| !is_combining_mark(*c) && !is_invisible(*c)).nfc().collect();
    let words: Vec<&str> = plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Splits a word where a script without spaces begins or ends.
fn runs(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let unspaced = is_unspaced(rest.chars().next()?);
        let end = rest.find(|c| is_unspaced(c) != unspaced).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        rest = tail;
        Some(run)
    })
}

/// The bigrams of a run.
fn pairs(run: &str) -> impl Iterator<Item = &str> {
    let starts = run.char_indices().map(|(index, _)| index);
    let ends = run.char_indices().map(|(index, c)| index + c.len_utf8()).skip(1);
    starts.zip(ends).map(|(start, end)| &run[start..end])
}

/// Whether a character belongs to a script without spaces between words: Chinese, Japanese, Thai, Lao, Burmese, Khmer.
fn is_unspaced(c: char) -> bool {
    matches!(
        c,
        '\u{E01}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{3005}'..='\u{30FF}'
    ) || (is_cjk(c) && !matches!(c, '\u{AC00}'..='\u{D7A3}'))
}

/// Whether a character belongs to the Chinese, Japanese or Korean script.
fn is_cjk(c: char) -> bool {
    matches!(
        c,
        '\u{3041}'..='\u{30FF}'
            | '\u{31F0}'..='\u{31FF}'
            | '\u{3400}'..='\u{4DBF}'
            | '\u{4E00}'..='\u{9FFF}'
            | '\u{AC00}'..='\u{D7A3}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{20000}'..='\u{3FFFD}'
    )
}

/// Whether a character inside a word is invisible, such as a soft hyphen.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200C}' | '\u{200D}' | '\u{2060}')
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, prop_assert_eq};

    use super::*;

    #[test]
    fn text_is_indexed_without_case_accents_and_punctuation() {
        for (text, normalized) in [
            ("Café-Gespräch", "cafe gesprach"),
            ("  Rust,\n\tpeople!  ", "rust people"),
            ("Straße", "strasse"),
            ("Ａｎｎａ", "anna"),
            ("e\u{301}te\u{301}", "ete"),
            ("Ge\u{AD}spräch", "gesprach"),
            ("Ångström x²", "angstrom x2"),
            ("ЁЛКА", "елка"),
            ("東京、大阪", "東京 大阪"),
            ("한국어", "한국어"),
            ("C++ & C#", "c c"),
            ("snake_case", "snake case"),
            ("🦀 💥", ""),
            ("", ""),
        ] {
            assert_eq!(normalize(text), normalized, "{text}");
        }
    }

    #[test]
    fn scripts_without_spaces_are_indexed_as_bigrams() {
        assert_eq!(terms("東京大学 Rust言語"), "東京 京大 大学 学 rust 言語 語");
        assert_eq!(terms("한국어 abc"), "한국어 abc");
    }

    #[test]
    fn a_text_is_indexed_with_its_scopes() {
        let scopes = || [ScopeTerm::new('c', 3), ScopeTerm::new('u', 22)];
        assert_eq!(scoped_terms(scopes(), "Café!"), "zqc3 zqu22 cafe");
        assert_eq!(scoped_terms(scopes(), "大学"), "zqc3 zqu22 大学 学");
        assert_eq!(scoped_terms([], "Café!"), "cafe");
    }

    #[test]
    fn long_text_is_normalized_as_a_whole() {
        let long = "x".repeat(1_000_000);
        assert_eq!(normalize(&long).len(), long.len());
        assert_eq!(normalize(&"e\u{301}\u{327}".repeat(200_000)).len(), 200_000);
        assert_eq!(normalize(&" -".repeat(500_000)), "");
    }

    proptest::proptest! {
        #[test]
        fn normalizing_twice_changes_nothing(text in "\\PC{0,30}") {
            let normalized = normalize(&text);
            prop_assert_eq!(normalize(&normalized), normalized);
        }

        #[test]
        fn only_letters_digits_and_single_spaces_are_left(text in "(?s).{0,40}") {
            for text in [normalize(&text), terms(&text)] {
                prop_assert!(text.chars().all(|c| c == ' ' || c.is_alphanumeric()));
                prop_assert!(!text.contains("  ") && text.trim() == text);
            }
        }
    }
}
