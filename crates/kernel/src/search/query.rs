//! Queries of users, in the syntax of the full-text index of each database.

use sea_orm::DbBackend;

use super::{ScopeTerm, is_cjk, is_unspaced, normalize, pairs, runs};

/// How much of a query is read, in characters.
const MAX_QUERY_LENGTH: usize = 1_000;

/// How many terms of a query are used.
const MAX_TERMS: usize = 8;

/// How much of a term is used, in characters; what begins with it matches then. PostgreSQL rejects a lexeme of 2 KiB or
/// more.
const MAX_TERM_LENGTH: usize = 100;

/// How the last term of a query is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// As a whole word.
    Whole,
    /// As a prefix, for search as you type.
    Prefix,
}

/// A term of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    /// Letters and digits only, so it needs no escaping in any query syntax.
    text: String,
    /// Whether it is always matched as a prefix.
    is_prefix: bool,
}

impl Term {
    fn new(word: &str) -> Self {
        let text: String = word.chars().take(MAX_TERM_LENGTH).collect();
        // A single character of a script without spaces has to match bigrams.
        let is_single = word.starts_with(is_unspaced) && word.chars().nth(1).is_none();
        Self { is_prefix: is_single || text.len() < word.len(), text }
    }
}

/// A parsed search query. A text matches if it contains all terms and belongs to one of the scopes, if there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchQuery {
    /// At least one.
    terms: Vec<Term>,
    /// Empty for a search without scopes.
    scopes: Vec<ScopeTerm>,
}

impl SearchQuery {
    /// Parses user input; `None` if it contains no term that is significant enough to search for.
    pub fn parse(text: &str) -> Option<Self> {
        let text: String = text.chars().take(MAX_QUERY_LENGTH).collect();
        let normalized = normalize(&text);
        let terms: Vec<Term> = normalized
            .split(' ')
            .flat_map(runs)
            .filter(|word| is_significant(word))
            .flat_map(|word| {
                let is_run = word.starts_with(is_unspaced) && word.chars().nth(1).is_some();
                let whole = (!is_run).then_some(word);
                whole.into_iter().chain(is_run.then(|| pairs(word)).into_iter().flatten())
            })
            .take(MAX_TERMS)
            .map(Term::new)
            .collect();
        (!terms.is_empty()).then_some(Self { terms, scopes: Vec::new() })
    }

    /// Limits the query to texts that belong to one of these scopes; `None` if there is no scope, so no text matches.
    pub fn within(self, scopes: impl IntoIterator<Item = ScopeTerm>) -> Option<Self> {
        let scopes: Vec<ScopeTerm> = scopes.into_iter().collect();
        (!scopes.is_empty()).then_some(Self { terms: self.terms, scopes })
    }

    /// The query for `MATCH` of SQLite's FTS5, `("zqu7" OR "zqc3") AND "rust" AND "peop" *`, or for `to_tsquery` of
    /// PostgreSQL, `('zqu7' | 'zqc3') & 'rust' & 'peop':*`.
    pub fn expression(&self, backend: DbBackend, matching: Match) -> String {
        let syntax = Syntax::of(backend);
        let scopes: Vec<String> = self.scopes.iter().map(|ScopeTerm(term)| syntax.term(term, false)).collect();
        let scopes = (!scopes.is_empty()).then(|| format!("({})", scopes.join(syntax.or)));
        let terms = self.terms.iter().enumerate().map(|(index, Term { text, is_prefix })| {
            let is_last = index + 1 == self.terms.len();
            syntax.term(text, *is_prefix || (is_last && matching == Match::Prefix))
        });
        scopes.into_iter().chain(terms).collect::<Vec<_>>().join(syntax.and)
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

/// The query syntax of a database.
struct Syntax {
    quote: char,
    prefix: &'static str,
    and: &'static str,
    or: &'static str,
}

impl Syntax {
    const fn of(backend: DbBackend) -> Self {
        match backend {
            DbBackend::Sqlite => Self { quote: '"', prefix: " *", and: " AND ", or: " OR " },
            _ => Self { quote: '\'', prefix: ":*", and: " & ", or: " | " },
        }
    }

    fn term(&self, term: &str, is_prefix: bool) -> String {
        let Self { quote, prefix, .. } = self;
        format!("{quote}{term}{quote}{}", if is_prefix { prefix } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, prop_assert_eq};

    use super::{super::terms, *};

    fn fts5(text: &str) -> Option<String> {
        SearchQuery::parse(text).map(|query| query.expression(DbBackend::Sqlite, Match::Prefix))
    }

    fn tsquery(text: &str) -> Option<String> {
        SearchQuery::parse(text).map(|query| query.expression(DbBackend::Postgres, Match::Prefix))
    }

    #[test]
    fn all_terms_must_match_and_the_last_may_be_a_prefix() {
        assert_eq!(fts5("Rust Peop").unwrap(), r#""rust" AND "peop" *"#);
        assert_eq!(tsquery("Rust Peop").unwrap(), "'rust' & 'peop':*");
        assert_eq!(fts5("rust").unwrap(), r#""rust" *"#);
        assert_eq!(tsquery("rust").unwrap(), "'rust':*");
        let query = SearchQuery::parse("Rust Peop").unwrap();
        assert_eq!(query.expression(DbBackend::Sqlite, Match::Whole), r#""rust" AND "peop""#);
        assert_eq!(query.expression(DbBackend::Postgres, Match::Whole), "'rust' & 'peop'");
    }

    #[test]
    fn all_terms_must_match_in_one_of_the_scopes() {
        let (person, room) = (ScopeTerm::new('u', 7), ScopeTerm::new('c', 3));
        let query = SearchQuery::parse("Rust Peop").unwrap().within([person, room.clone()]).unwrap();
        let fts5 = r#"("zqu7" OR "zqc3") AND "rust" AND "peop" *"#;
        assert_eq!(query.expression(DbBackend::Sqlite, Match::Prefix), fts5);
        let tsquery = "('zqu7' | 'zqc3') & 'rust' & 'peop':*";
        assert_eq!(query.expression(DbBackend::Postgres, Match::Prefix), tsquery);
        let query = SearchQuery::parse("x 猫").unwrap().within([room]).unwrap();
        assert_eq!(query.expression(DbBackend::Sqlite, Match::Whole), r#"("zqc3") AND "猫" *"#);
    }

    #[test]
    fn without_a_scope_nothing_is_searched() {
        assert_eq!(SearchQuery::parse("rust").unwrap().within([]), None);
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
            ("NEAR(", "'near':*"),
            ("NEAR(ab cd, 2)", "'near' & 'ab' & 'cd':*"),
            ("a OR b", "'or':*"),
            ("rust AND NOT go*", "'rust' & 'and' & 'not' & 'go':*"),
            ("\"rust\" *", "'rust':*"),
            ("name:rust ^go", "'name' & 'rust' & 'go':*"),
            ("rust -go + {x}", "'rust' & 'go':*"),
            ("💥boom💥", "'boom':*"),
            ("'; DROP TABLE users; --", "'drop' & 'table' & 'users':*"),
            ("rust:* | !go & (x)", "'rust' & 'go':*"),
            ("back\\slash", "'back' & 'slash':*"),
        ] {
            assert_eq!(tsquery(input).unwrap(), terms, "{input}");
            let fts5_terms = terms.replace('\'', "\"").replace(" & ", " AND ").replace(":*", " *");
            assert_eq!(fts5(input).unwrap(), fts5_terms, "{input}");
        }
    }

    #[test]
    fn fault_r28_any_part_of_text_without_spaces_is_found() {
        assert_eq!(fts5("大学").unwrap(), r#""大学" *"#);
        assert_eq!(fts5("東京大学").unwrap(), r#""東京" AND "京大" AND "大学" *"#);
        assert_eq!(tsquery("学 rust").unwrap(), "'学':* & 'rust':*");
        for (text, part) in [
            ("東京大学で勉強する", "大学"),
            ("我家在上海东边", "上海"),
            ("ประเทศไทยสวยงาม", "ไทย"),
            ("ひらがなカタカナ", "がなカ"),
        ] {
            let indexed = terms(text);
            let indexed: Vec<&str> = indexed.split(' ').collect();
            for term in &SearchQuery::parse(part).unwrap().terms {
                assert!(indexed.contains(&term.text.as_str()), "{part} in {text}: {indexed:?}");
            }
        }
    }

    #[test]
    fn a_long_query_is_truncated() {
        let many: String = (10..99).map(|number| format!("{number} ")).collect();
        assert_eq!(SearchQuery::parse(&many).unwrap().terms.len(), MAX_TERMS);
        let long = "x".repeat(1_000_000);
        let cut = Term { text: "x".repeat(MAX_TERM_LENGTH), is_prefix: true };
        assert_eq!(SearchQuery::parse(&long).unwrap().terms, [cut]);
    }

    proptest::proptest! {
        #[test]
        fn quotes_enclose_terms_and_nothing_else(text in "(?s).{0,40}") {
            let scopes = [ScopeTerm::new('u', 7), ScopeTerm::new('c', 3)];
            if let Some(query) = SearchQuery::parse(&text).and_then(|query| query.within(scopes)) {
                let quotes = 2 * query.terms.len() + 4;
                let tsquery = query.expression(DbBackend::Postgres, Match::Prefix);
                prop_assert_eq!(tsquery.matches('\'').count(), quotes);
                prop_assert!(!tsquery.contains('\\'));
                prop_assert_eq!(query.expression(DbBackend::Sqlite, Match::Prefix).matches('"').count(), quotes);
            }
        }
    }
}
