//! Text normalization and query parsing for full-text search.

use guildhall_kernel::text;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// How much of a query is read, in characters.
const MAX_QUERY_LENGTH: usize = 1_000;

/// How many terms of a query are used.
const MAX_TERMS: usize = 8;

/// How much of a term is used, in characters. PostgreSQL rejects a lexeme of 2 KiB or more.
const MAX_TERM_LENGTH: usize = 100;

/// Normalizes text for indexing: letters and digits without case and accents, and one space between words. It is
/// applied by the program, so that every database finds the same.
pub(crate) fn fold(text: &str) -> String {
    let folded = text::fold(text);
    // Composed again, because otherwise a Hangul syllable is two or three characters.
    let plain: String = folded.nfkd().filter(|c| !is_combining_mark(*c) && !is_invisible(*c)).nfc().collect();
    let words: Vec<&str> = plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// The terms of a text for the index. Scripts without spaces between words are indexed as bigrams, plus the last
/// character, so that any part of a run can be found.
pub(crate) fn index(text: &str) -> String {
    let folded = fold(text);
    let mut terms = String::with_capacity(folded.len());
    let mut add = |term: &str| {
        if !terms.is_empty() {
            terms.push(' ');
        }
        terms.push_str(term);
    };
    for run in folded.split(' ').flat_map(runs) {
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

/// Whether a character inside a word is invisible, such as a soft hyphen.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200C}' | '\u{200D}' | '\u{2060}')
}

/// A parsed search query. A text matches if it contains all terms. The last term may be a prefix, for search as you
/// type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchQuery {
    /// At least one. They contain letters and digits only, so they need no escaping in any query syntax.
    terms: Vec<String>,
}

impl SearchQuery {
    /// Parses user input; `None` if it contains no term that is significant enough to search for.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text: String = text.chars().take(MAX_QUERY_LENGTH).collect();
        let folded = fold(&text);
        let terms: Vec<String> = folded
            .split(' ')
            .flat_map(runs)
            .filter(|word| is_significant(word))
            .flat_map(|word| {
                let is_run = word.starts_with(is_unspaced) && word.chars().nth(1).is_some();
                let whole = (!is_run).then_some(word);
                whole.into_iter().chain(is_run.then(|| pairs(word)).into_iter().flatten())
            })
            .take(MAX_TERMS)
            .map(|term| term.chars().take(MAX_TERM_LENGTH).collect())
            .collect();
        (!terms.is_empty()).then_some(Self { terms })
    }

    /// The query in the syntax of SQLite's FTS5: `"rust" "peop" *` if the last term is a prefix.
    pub(crate) fn fts5(&self, last_is_prefix: bool) -> String {
        self.join(last_is_prefix, " ", |term, prefix| format!("\"{term}\"{}", if prefix { " *" } else { "" }))
    }

    /// The query in the syntax of PostgreSQL's `to_tsquery`: `'rust' & 'peop':*`.
    pub(crate) fn tsquery(&self, last_is_prefix: bool) -> String {
        self.join(last_is_prefix, " & ", |term, prefix| format!("'{term}'{}", if prefix { ":*" } else { "" }))
    }

    /// Joins the terms. A single character of a script without spaces is always a prefix, because it has to match
    /// bigrams.
    fn join(&self, last_is_prefix: bool, separator: &str, format_term: impl Fn(&str, bool) -> String) -> String {
        let last = self.terms.len() - 1;
        let format = |(index, term): (usize, &String)| {
            let is_single = term.starts_with(is_unspaced) && term.chars().nth(1).is_none();
            format_term(term, is_single || (last_is_prefix && index == last))
        };
        self.terms.iter().enumerate().map(format).collect::<Vec<_>>().join(separator)
    }
}

/// Whether a word is worth searching for. A single letter matches almost every text, but a single Chinese or
/// Japanese character can be a word.
fn is_significant(word: &str) -> bool {
    let mut characters = word.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) => is_cjk(only),
        (first, _) => first.is_some(),
    }
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

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, prop_assert_eq};

    use super::*;

    fn fts5(text: &str) -> Option<String> {
        SearchQuery::parse(text).map(|query| query.fts5(true))
    }

    fn tsquery(text: &str) -> Option<String> {
        SearchQuery::parse(text).map(|query| query.tsquery(true))
    }

    #[test]
    fn text_is_indexed_without_case_accents_and_punctuation() {
        for (text, folded) in [
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
            assert_eq!(fold(text), folded, "{text}");
        }
    }

    #[test]
    fn all_terms_must_match_and_the_last_may_be_a_prefix() {
        assert_eq!(fts5("Rust Peop").unwrap(), r#""rust" "peop" *"#);
        assert_eq!(tsquery("Rust Peop").unwrap(), "'rust' & 'peop':*");
        assert_eq!(fts5("rust").unwrap(), r#""rust" *"#);
        assert_eq!(tsquery("rust").unwrap(), "'rust':*");
    }

    #[test]
    fn single_letters_are_ignored_but_ideographs_are_not() {
        for ignored in ["", " ", "a", "a b c 1", "\"", "*", "'", "()", "🦀", "- -"] {
            assert_eq!(SearchQuery::parse(ignored), None, "{ignored}");
        }
        assert_eq!(fts5("猫").unwrap(), r#""猫" *"#);
        assert_eq!(fts5("a 말").unwrap(), r#""말" *"#);
        assert_eq!(fts5("か").unwrap(), r#""か" *"#);
    }

    #[test]
    fn query_operators_are_treated_as_terms_or_ignored() {
        for (input, terms) in [
            ("NEAR(", "\"near\" *"),
            ("NEAR(ab cd, 2)", "\"near\" \"ab\" \"cd\" *"),
            ("a OR b", "\"or\" *"),
            ("rust AND NOT go*", "\"rust\" \"and\" \"not\" \"go\" *"),
            ("\"rust\" *", "\"rust\" *"),
            ("name:rust ^go", "\"name\" \"rust\" \"go\" *"),
            ("rust -go + {x}", "\"rust\" \"go\" *"),
            ("💥boom💥", "\"boom\" *"),
        ] {
            assert_eq!(fts5(input).unwrap(), terms, "{input}");
        }
        assert_eq!(tsquery("'; DROP TABLE users; --").unwrap(), "'drop' & 'table' & 'users':*");
        assert_eq!(tsquery("rust:* | !go & (x)").unwrap(), "'rust' & 'go':*");
        assert_eq!(tsquery("back\\slash").unwrap(), "'back' & 'slash':*");
    }

    #[test]
    fn fault_r28_any_part_of_text_without_spaces_is_found() {
        assert_eq!(index("東京大学 Rust言語"), "東京 京大 大学 学 rust 言語 語");
        assert_eq!(index("한국어 abc"), "한국어 abc");
        assert_eq!(fts5("大学").unwrap(), r#""大学" *"#);
        assert_eq!(fts5("東京大学").unwrap(), r#""東京" "京大" "大学" *"#);
        assert_eq!(tsquery("学 rust").unwrap(), "'学':* & 'rust':*");
        for (text, part) in [
            ("東京大学で勉強する", "大学"),
            ("我家在上海东边", "上海"),
            ("ประเทศไทยสวยงาม", "ไทย"),
            ("ひらがなカタカナ", "がなカ"),
        ] {
            let terms = index(text);
            let terms: Vec<&str> = terms.split(' ').collect();
            for term in &SearchQuery::parse(part).unwrap().terms {
                assert!(terms.contains(&term.as_str()), "{part} in {text}: {terms:?}");
            }
        }
    }

    #[test]
    fn a_long_query_is_truncated() {
        let many: String = (10..99).map(|number| format!("{number} ")).collect();
        assert_eq!(SearchQuery::parse(&many).unwrap().terms.len(), MAX_TERMS);
        let long = "x".repeat(1_000_000);
        assert_eq!(SearchQuery::parse(&long).unwrap().terms, ["x".repeat(MAX_TERM_LENGTH)]);
        assert_eq!(fold(&long).len(), long.len());
        assert_eq!(fold(&"e\u{301}\u{327}".repeat(200_000)).len(), 200_000);
        assert_eq!(fold(&" -".repeat(500_000)), "");
    }

    proptest::proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,30}") {
            let folded = fold(&text);
            prop_assert_eq!(fold(&folded), folded);
        }

        #[test]
        fn only_letters_digits_and_single_spaces_are_left(text in "(?s).{0,40}") {
            let folded = fold(&text);
            prop_assert!(folded.chars().all(|c| c == ' ' || c.is_alphanumeric()));
            prop_assert!(!folded.contains("  ") && folded.trim() == folded);
        }

        #[test]
        fn quotes_enclose_terms_and_nothing_else(text in "(?s).{0,40}") {
            if let Some(query) = SearchQuery::parse(&text) {
                prop_assert_eq!(query.fts5(true).matches('"').count(), 2 * query.terms.len());
                prop_assert_eq!(query.tsquery(true).matches('\'').count(), 2 * query.terms.len());
                prop_assert!(!query.tsquery(true).contains('\\'));
            }
        }
    }
}
