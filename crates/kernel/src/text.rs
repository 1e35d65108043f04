//! Normalization, slugs and validation rules for text input.

use unicode_normalization::UnicodeNormalization;

use crate::{Error, Result};

/// The canonical form of a name, for comparison: NFKC, case folding, NFKC again
/// (Unicode, default caseless matching for identifiers, D146).
pub fn fold(text: &str) -> String {
    let composed: String = text.nfkc().collect();
    caseless::default_case_fold_str(&composed).nfkc().collect()
}

/// An upper bound, in byte order, for all strings that begin with `prefix`: a prefix search is then a
/// range that an index can serve.
pub fn after_prefix(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

/// The longest slug, in characters.
const MAX_SLUG: usize = 80;

/// The slug of a name, and a second one with a random suffix in case the first is taken. A name without any
/// characters for a slug gets `fallback`.
///
/// # Errors
/// If the system's random generator fails.
pub fn slugs(name: &str, fallback: &str) -> Result<[String; 2]> {
    let mut slug = slug::slugify(name);
    slug.truncate(MAX_SLUG); // a slug is ASCII
    let slug = slug.trim_end_matches('-');
    let slug = if slug.is_empty() { fallback } else { slug };
    let suffix = getrandom::u32().map_err(|error| Error::internal(error.to_string()))?;
    Ok([slug.to_owned(), format!("{slug}-{suffix:08x}")])
}

/// A garde rule: a single line of `min` to `max` characters, without control characters.
pub fn line<T: AsRef<str> + ?Sized>(min: usize, max: usize) -> impl Fn(&T, &()) -> garde::Result {
    move |value, ()| check(value.as_ref(), min, max, |c| !c.is_control())
}

/// A garde rule: text of `min` to `max` characters, possibly with several lines.
pub fn block<T: AsRef<str> + ?Sized>(min: usize, max: usize) -> impl Fn(&T, &()) -> garde::Result {
    move |value, ()| check(value.as_ref(), min, max, |c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

/// Applies a rule to an optional field.
pub fn maybe<T>(rule: impl Fn(&T, &()) -> garde::Result) -> impl Fn(&Option<T>, &()) -> garde::Result {
    move |value, ctx| value.as_ref().map_or(Ok(()), |value| rule(value, ctx))
}

/// Whether a text has no visible characters: it is empty, or only white space and invisible characters.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_invisible)
}

/// White space, control characters, `Default_Ignorable_Code_Point` (Unicode, `DerivedCoreProperties.txt`), and the
/// blank Braille pattern.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

fn check(text: &str, min: usize, max: usize, allowed: fn(char) -> bool) -> garde::Result {
    if min > 0 && is_blank(text) {
        return Err(garde::Error::new("This field may not be blank."));
    }
    let length = text.chars().count();
    if length < min {
        return Err(garde::Error::new(format!("Ensure this field has at least {min} characters.")));
    }
    if length > max {
        return Err(garde::Error::new(format!("Ensure this field has no more than {max} characters.")));
    }
    if !text.chars().all(allowed) {
        return Err(garde::Error::new("Control characters are not allowed."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_fold_to_the_same_text() {
        assert_eq!(fold("Straße"), fold("STRASSE"));
        assert_eq!(fold("Ａｎｎａ"), fold("anna"));
        assert_eq!(fold("e\u{301}"), fold("É"));
        assert_ne!(fold("anna"), fold("anne"));
    }

    proptest::proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,20}") {
            proptest::prop_assert_eq!(fold(&fold(&text)), fold(&text));
        }

        #[test]
        fn a_prefix_range_contains_every_text_with_the_prefix(prefix in "[a-z]{1,5}", rest in "\\PC{0,5}") {
            let text = format!("{prefix}{rest}");
            proptest::prop_assert!(text >= prefix && text <= after_prefix(&prefix));
        }
    }

    #[test]
    fn a_slug_is_short_ascii_and_never_empty() {
        let [plain, distinct] = slugs("Straße der Größe!", "group").unwrap();
        assert_eq!((plain.as_str(), distinct.len()), ("strasse-der-grosse", plain.len() + 9));
        assert!(distinct.starts_with("strasse-der-grosse-"));
        assert_ne!(distinct, slugs("Straße der Größe!", "group").unwrap()[1]);
        assert_eq!(slugs("!!!", "group").unwrap()[0], "group");
        assert!(slugs(&"ab ".repeat(100), "group").unwrap()[0].len() <= MAX_SLUG);
    }

    #[test]
    fn fault_r30_invisible_characters_are_blank() {
        for blank in ["", " ", "\u{200b}", "\u{2060}", "\u{3164}", "\u{2800}", "\u{ad}\u{200d}", "\u{a0}\u{feff}"] {
            assert!(is_blank(blank), "{blank:?}");
            assert!(line::<str>(1, 9)(blank, &()).is_err() && block::<str>(1, 9)(blank, &()).is_err(), "{blank:?}");
        }
        for visible in ["a", "\u{200b}a", "👩\u{200d}💻", "・", "ㅤㄱ"] {
            assert!(!is_blank(visible), "{visible:?}");
        }
    }

    #[test]
    fn rules_check_length_blanks_and_control_characters() {
        let rule = line::<str>(1, 3);
        assert!(rule("abc", &()).is_ok());
        assert_eq!(rule(" ", &()).unwrap_err().message(), "This field may not be blank.");
        assert!(rule("abcd", &()).is_err());
        assert!(rule("a\nb", &()).is_err());
        assert!(block::<str>(1, 3)("a\nb", &()).is_ok());
        assert!(block::<str>(0, 3)("a\0b", &()).is_err());
    }
}
