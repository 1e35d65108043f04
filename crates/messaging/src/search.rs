//! Text normalization and query parsing for full-text search.

use guildhall_kernel::{UserId, text};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::id::ConversationId;

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

/// The term of the index for the messages of a conversation.
fn conversation_term(id: ConversationId) -> String {
    format!("zqc{id}")
}

/// The term of the index for the direct messages of a user.
fn user_term(id: UserId) -> String {
    format!("zqu{id}")
}

/// The terms of a message for the index: those of its content, of its conversation, and of its two people if it is
/// direct. With the latter a search reads only messages of the caller; who may read them is checked nevertheless.
pub(crate) fn document(content: &str, conversation: ConversationId, people: Option<[UserId; 2]>) -> String {
    let mut terms = conversation_term(conversation);
    for person in people.into_iter().flatten() {
        terms.push(' ');
        terms.push_str(&user_term(person));
    }
    terms.push(' ');
    terms.push_str(&index(content));
    terms
}

/// Where to search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In one conversation.
    Conversation(ConversationId),
    /// In the direct messages of a user and in these groups.
    All(UserId, Vec<ConversationId>),
}

impl Place {
    fn terms(&self) -> Vec<String> {
        match self {
            Self::Conversation(id) => vec![conversation_term(*id)],
            Self::All(user, groups) => {
                std::iter::once(user_term(*user)).chain(groups.iter().copied().map(conversation_term)).collect()
            }
        }
    }
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
/// type. What users write has the same syntax on both databases; each gets the terms in the syntax of its index.
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

    /// The query in the syntax of SQLite's FTS5: `("zqu7" OR "zqc3") AND "rust" AND "peop" *`.
    pub(crate) fn fts5(&self, place: &Place) -> String {
        let places: Vec<String> = place.terms().iter().map(|term| format!("\"{term}\"")).collect();
        let terms = self.join(" AND ", |term, prefix| format!("\"{term}\"{}", if prefix { " *" } else { "" }));
        format!("({}) AND {terms}", places.join(" OR "))
    }

    /// The query in the syntax of PostgreSQL's `to_tsquery`: `('zqu7' | 'zqc3') & 'rust' & 'peop':*`.
    pub(crate) fn tsquery(&self, place: &Place) -> String {
        let places: Vec<String> = place.terms().iter().map(|term| format!("'{term}'")).collect();
        let terms = self.join(" & ", |term, prefix| format!("'{term}'{}", if prefix { ":*" } else { "" }));
        format!("({}) & {terms}", places.join(" | "))
    }

    /// Joins the terms; the last one is a prefix. A single character of a script without spaces is always a prefix,
    /// because it has to match bigrams.
    fn join(&self, separator: &str, format_term: impl Fn(&str, bool) -> String) -> String {
        let last = self.terms.len() - 1;
        let format = |(index, term): (usize, &String)| {
            let is_single = term.starts_with(is_unspaced) && term.chars().nth(1).is_none();
            format_term(term, is_single || index == last)
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

    fn queries(text: &str) -> Option<(String, String)> {
        let place = Place::All(UserId(7), vec![ConversationId(3)]);
        SearchQuery::parse(text).map(|query| (query.fts5(&place), query.tsquery(&place)))
    }

    #[test]
    fn all_terms_must_match_in_one_of_the_places() {
        let (fts5, tsquery) = queries("Rust Peop").unwrap();
        assert_eq!(fts5, r#"("zqu7" OR "zqc3") AND "rust" AND "peop" *"#);
        assert_eq!(tsquery, "('zqu7' | 'zqc3') & 'rust' & 'peop':*");
        let query = SearchQuery::parse("x 猫").unwrap();
        assert_eq!(query.fts5(&Place::Conversation(ConversationId(3))), r#"("zqc3") AND "猫" *"#);
    }

    #[test]
    fn a_message_is_indexed_with_its_conversation_and_people() {
        let people = Some([UserId(1), UserId(22)]);
        assert_eq!(document("Café!", ConversationId(3), people), "zqc3 zqu1 zqu22 cafe");
        assert_eq!(document("東京大学", ConversationId(3), None), "zqc3 東京 京大 大学 学");
    }

    #[test]
    fn operators_are_terms_or_ignored() {
        assert_eq!(queries("'; DROP TABLE users; --").unwrap().1, "('zqu7' | 'zqc3') & 'drop' & 'table' & 'users':*");
        for ignored in ["", "a", "\"", "*", "()", "🦀"] {
            assert_eq!(queries(ignored), None, "{ignored}");
        }
    }

    proptest::proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,30}") {
            let folded = fold(&text);
            prop_assert_eq!(fold(&folded), folded);
        }

        #[test]
        fn quotes_enclose_terms_and_nothing_else(text in "(?s).{0,40}") {
            if let Some((fts5, tsquery)) = queries(&text) {
                let terms = SearchQuery::parse(&text).unwrap().terms.len();
                prop_assert_eq!(fts5.matches('"').count(), 2 * terms + 4);
                prop_assert_eq!(tsquery.matches('\'').count(), 2 * terms + 4);
                prop_assert!(!tsquery.contains('\\'));
            }
        }
    }
}
