//! Links in texts of users.

use std::ops::Range;

use url::Url;

/// The allowed schemes of links.
pub const SCHEMES: [&str; 3] = ["http", "https", "mailto"];

/// The maximum length of a URL, in bytes.
const MAX_URL_LENGTH: usize = 2_000;

/// The normalized form of a URL; `None` if it is not allowed in a link.
pub fn normalize(url: &str) -> Option<String> {
    if url.len() > MAX_URL_LENGTH {
        return None;
    }
    Url::parse(url).ok().filter(|url| SCHEMES.contains(&url.scheme())).map(String::from)
}

/// The bare URLs in a text, with their normalized form. The time is linear in the length of the text.
pub fn bare_links(text: &str) -> Vec<(Range<usize>, String)> {
    let mut links = Vec::new();
    let mut search_start = 0;
    for (colon, slashes) in text.match_indices("://") {
        let Some(start) = url_start(text, search_start, colon) else { continue };
        let rest = &text[colon + slashes.len()..];
        let end = text.len() - rest.len() + rest.find(ends_url).unwrap_or(rest.len());
        // Do not search the same characters again.
        search_start = end;
        let run = without_punctuation(&text[start..end]);
        if let Some(url) = normalize(run) {
            links.push((start..start + run.len(), url));
        }
    }
    links
}

/// The start of the URL whose scheme ends at a colon.
fn url_start(text: &str, search_start: usize, colon: usize) -> Option<usize> {
    let before = text.get(search_start..colon)?;
    let ends_with = |scheme: &str| {
        let start = before.len().checked_sub(scheme.len());
        start.is_some_and(|start| before.as_bytes()[start..].eq_ignore_ascii_case(scheme.as_bytes()))
    };
    let start = colon - ["https", "http"].into_iter().find(|scheme| ends_with(scheme))?.len();
    let inside_word = text[..start].chars().next_back().is_some_and(char::is_alphanumeric);
    (!inside_word).then_some(start)
}

/// Whether a character ends a bare URL: white space, quotes, and punctuation of scripts without spaces.
fn ends_url(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '<' | '>'
                | '"'
                | '`'
                | '\\'
                | '«'
                | '»'
                | '\u{2010}'..='\u{206F}'
                | '\u{3000}'..='\u{303F}'
                | '\u{FF01}'..='\u{FF0F}'
                | '\u{FF1A}'..='\u{FF20}'
                | '\u{FF3B}'..='\u{FF40}'
                | '\u{FF5B}'..='\u{FF65}'
        )
}

/// Strips what belongs to the surrounding sentence from a URL: trailing punctuation, and closing brackets without an
/// opening one.
fn without_punctuation(run: &str) -> &str {
    let count = |bracket: char| run.matches(bracket).count();
    let mut round = count(')').saturating_sub(count('('));
    let mut square = count(']').saturating_sub(count('['));
    run.trim_end_matches(|c: char| {
        let open = match c {
            ')' => &mut round,
            ']' => &mut square,
            _ => return matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~'),
        };
        let is_unmatched = *open > 0;
        *open = open.saturating_sub(1);
        is_unmatched
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(text: &str) -> Vec<String> {
        bare_links(text).into_iter().map(|(_, url)| url).collect()
    }

    #[test]
    fn bare_links_are_found_without_the_punctuation_around_them() {
        assert_eq!(
            links("See https://a.example, (http://B.example/x_(y)) and ftp://c.example."),
            ["https://a.example/", "http://b.example/x_(y)"]
        );
        assert!(links("xhttp://a.example and http:// and http://[").is_empty());
    }

    #[test]
    fn only_short_urls_of_the_allowed_schemes_are_normalized() {
        assert_eq!(normalize("HTTPS://A.example").as_deref(), Some("https://a.example/"));
        assert_eq!(normalize("mailto:anna@a.example").as_deref(), Some("mailto:anna@a.example"));
        for refused in ["javascript:alert(1)", "file:///etc/passwd", "a.example", ""] {
            assert_eq!(normalize(refused), None, "{refused}");
        }
        assert_eq!(normalize(&format!("https://a.example/{}", "x".repeat(2_000))), None);
    }
}
