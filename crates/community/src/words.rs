//! Text as it is searched: the words that are indexed, and the words that are asked for.

use guildhall_kernel::text;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// How much of what is asked for is read, in characters.
const LONGEST_QUERY: usize = 1_000;

/// How many words are looked for.
const MOST_WORDS: usize = 8;

/// How much of a word is looked for, in characters. PostgreSQL refuses one of 2 KiB.
const LONGEST_WORD: usize = 100;

/// The form in which words are indexed: letters and digits without case and accents, one space between
/// words. It is applied before the database sees the text, so that every database finds the same.
pub(crate) fn fold(text: &str) -> String {
    let folded = text::fold(text);
    // Composed again, since a syllable of Hangul is otherwise two or three characters.
    let plain: String = folded.nfkd().filter(|c| !is_combining_mark(*c) && !is_invisible(*c)).nfc().collect();
    let words: Vec<&str> = plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// The words of a text as the index keeps them. A run of writing without spaces between words is kept as every two
/// neighbours in it, and its last character: whatever part of it is looked for is among them.
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

/// A word, cut where writing without spaces begins or ends.
fn runs(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let unspaced = is_unspaced(rest.chars().next()?);
        let end = rest.find(|c| is_unspaced(c) != unspaced).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        rest = behind;
        Some(run)
    })
}

/// Every two neighbours in a run.
fn pairs(run: &str) -> impl Iterator<Item = &str> {
    let starts = run.char_indices().map(|(at, _)| at);
    let ends = run.char_indices().map(|(at, c)| at + c.len_utf8()).skip(1);
    starts.zip(ends).map(|(start, end)| &run[start..end])
}

/// Is it a character of writing that puts no spaces between words: Chinese, Japanese, Thai, Lao, Burmese, Khmer?
fn is_unspaced(c: char) -> bool {
    matches!(
        c,
        '\u{E01}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{3005}'..='\u{30FF}'
    ) || (is_cjk(c) && !matches!(c, '\u{AC00}'..='\u{D7A3}'))
}

/// Is it a character within a word that readers do not see, such as a soft hyphen?
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200C}' | '\u{200D}' | '\u{2060}')
}

/// The words that somebody looks for. Texts that hold all of them are found; the last may be the
/// beginning of one, since people search while they type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    /// At least one. They hold letters and digits alone, so nothing in them is syntax anywhere.
    words: Vec<String>,
}

impl Query {
    /// Reads what somebody typed; nothing where no word in it tells enough to search by.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text: String = text.chars().take(LONGEST_QUERY).collect();
        let folded = fold(&text);
        let words: Vec<String> = folded
            .split(' ')
            .flat_map(runs)
            .filter(|word| tells_enough(word))
            .flat_map(|word| {
                let is_run = word.starts_with(is_unspaced) && word.chars().nth(1).is_some();
                let whole = (!is_run).then_some(word);
                whole.into_iter().chain(is_run.then(|| pairs(word)).into_iter().flatten())
            })
            .take(MOST_WORDS)
            .map(|word| word.chars().take(LONGEST_WORD).collect())
            .collect();
        (!words.is_empty()).then_some(Self { words })
    }

    /// For `MATCH` in SQLite (FTS5): `"rust" "peop" *` where the last word may be a beginning.
    pub(crate) fn fts5(&self, beginning: bool) -> String {
        self.join(beginning, " ", |word, prefix| format!("\"{word}\"{}", if prefix { " *" } else { "" }))
    }

    /// The same for `to_tsquery` in PostgreSQL: `'rust' & 'peop':*`.
    pub(crate) fn tsquery(&self, beginning: bool) -> String {
        self.join(beginning, " & ", |word, prefix| format!("'{word}'{}", if prefix { ":*" } else { "" }))
    }

    /// The words with what stands between them. A single character of writing without spaces is the beginning of a
    /// pair, wherever it stands.
    fn join(&self, beginning: bool, between: &str, spell: impl Fn(&str, bool) -> String) -> String {
        let last = self.words.len() - 1;
        let spell = |(at, word): (usize, &String)| {
            let is_single = word.starts_with(is_unspaced) && word.chars().nth(1).is_none();
            spell(word, is_single || (beginning && at == last))
        };
        self.words.iter().enumerate().map(spell).collect::<Vec<_>>().join(between)
    }
}

/// Every text holds some word that begins with a given letter, but a Chinese or Japanese character
/// can be a word.
fn tells_enough(word: &str) -> bool {
    let mut characters = word.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) => is_cjk(only),
        (first, _) => first.is_some(),
    }
}

/// Is it a character of Chinese, Japanese or Korean writing?
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
        Query::parse(text).map(|query| query.fts5(true))
    }

    fn tsquery(text: &str) -> Option<String> {
        Query::parse(text).map(|query| query.tsquery(true))
    }

    #[test]
    fn words_are_indexed_without_case_accents_and_punctuation() {
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
    fn all_words_are_looked_for_and_the_last_may_go_on() {
        assert_eq!(fts5("Rust Peop").unwrap(), r#""rust" "peop" *"#);
        assert_eq!(tsquery("Rust Peop").unwrap(), "'rust' & 'peop':*");
        assert_eq!(fts5("rust").unwrap(), r#""rust" *"#);
        assert_eq!(tsquery("rust").unwrap(), "'rust':*");
    }

    #[test]
    fn single_letters_tell_too_little_but_ideographs_do_not() {
        for nothing in ["", " ", "a", "a b c 1", "\"", "*", "'", "()", "🦀", "- -"] {
            assert_eq!(Query::parse(nothing), None, "{nothing}");
        }
        assert_eq!(fts5("猫").unwrap(), r#""猫" *"#);
        assert_eq!(fts5("a 말").unwrap(), r#""말" *"#);
        assert_eq!(fts5("か").unwrap(), r#""か" *"#);
    }

    #[test]
    fn what_is_syntax_elsewhere_is_words_or_nothing_here() {
        for (typed, words) in [
            ("NEAR(", "\"near\" *"),
            ("NEAR(ab cd, 2)", "\"near\" \"ab\" \"cd\" *"),
            ("a OR b", "\"or\" *"),
            ("rust AND NOT go*", "\"rust\" \"and\" \"not\" \"go\" *"),
            ("\"rust\" *", "\"rust\" *"),
            ("name:rust ^go", "\"name\" \"rust\" \"go\" *"),
            ("rust -go + {x}", "\"rust\" \"go\" *"),
            ("💥boom💥", "\"boom\" *"),
        ] {
            assert_eq!(fts5(typed).unwrap(), words, "{typed}");
        }
        assert_eq!(tsquery("'; DROP TABLE users; --").unwrap(), "'drop' & 'table' & 'users':*");
        assert_eq!(tsquery("rust:* | !go & (x)").unwrap(), "'rust' & 'go':*");
        assert_eq!(tsquery("back\\slash").unwrap(), "'back' & 'slash':*");
    }

    #[test]
    fn fault_r28_any_part_of_a_run_without_spaces_is_found() {
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
            for word in &Query::parse(part).unwrap().words {
                assert!(terms.contains(&word.as_str()), "{part} in {text}: {terms:?}");
            }
        }
    }

    #[test]
    fn a_long_query_is_cut() {
        let many: String = (10..99).map(|number| format!("{number} ")).collect();
        assert_eq!(Query::parse(&many).unwrap().words.len(), MOST_WORDS);
        let long = "x".repeat(1_000_000);
        assert_eq!(Query::parse(&long).unwrap().words, ["x".repeat(LONGEST_WORD)]);
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
        fn quotes_enclose_words_and_nothing_else(text in "(?s).{0,40}") {
            if let Some(query) = Query::parse(&text) {
                prop_assert_eq!(query.fts5(true).matches('"').count(), 2 * query.words.len());
                prop_assert_eq!(query.tsquery(true).matches('\'').count(), 2 * query.words.len());
                prop_assert!(!query.tsquery(true).contains('\\'));
            }
        }
    }
}
