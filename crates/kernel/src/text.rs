//! Rules about text that people type.

use unicode_normalization::UnicodeNormalization;

use crate::{Error, Result};

/// The form in which two spellings of the same name are equal: NFKC, case folded, NFKC again
/// (Unicode, default caseless matching for identifiers, D146).
pub fn fold(text: &str) -> String {
    let composed: String = text.nfkc().collect();
    caseless::default_case_fold_str(&composed).nfkc().collect()
}

/// The smallest text that sorts after everything that begins with `prefix`, byte by byte;
/// a search by beginning is then a range that an index serves.
pub fn after_prefix(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

/// The longest a name is in an address, in characters.
const LONGEST_SLUG: usize = 80;

/// A name as it stands in an address, and the same with a random end in case somebody has it. What has no
/// letters that an address could have is called `otherwise`.
///
/// # Errors
/// Where the system has no random numbers.
pub fn slugs(name: &str, otherwise: &str) -> Result<[String; 2]> {
    let mut slug = slug::slugify(name);
    slug.truncate(LONGEST_SLUG); // it is ASCII
    let slug = slug.trim_end_matches('-');
    let slug = if slug.is_empty() { otherwise } else { slug };
    let end = getrandom::u32().map_err(|error| Error::internal(error.to_string()))?;
    Ok([slug.to_owned(), format!("{slug}-{end:08x}")])
}

/// A garde rule: one line of `min` to `max` characters, without control characters.
pub fn line<T: AsRef<str> + ?Sized>(min: usize, max: usize) -> impl Fn(&T, &()) -> garde::Result {
    move |value, ()| check(value.as_ref(), min, max, |c| !c.is_control())
}

/// A garde rule: text of `min` to `max` characters that may have several lines.
pub fn block<T: AsRef<str> + ?Sized>(min: usize, max: usize) -> impl Fn(&T, &()) -> garde::Result {
    move |value, ()| check(value.as_ref(), min, max, |c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

/// A rule for a value applied to a field that may be absent.
pub fn maybe<T>(rule: impl Fn(&T, &()) -> garde::Result) -> impl Fn(&Option<T>, &()) -> garde::Result {
    move |value, ctx| value.as_ref().map_or(Ok(()), |value| rule(value, ctx))
}

/// Is there nothing in it that anybody would see? Spaces, and what Unicode wants to be shown as nothing.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_invisible)
}

/// White space, control characters, and `Default_Ignorable_Code_Point` (Unicode, `DerivedCoreProperties.txt`), with
/// the blank pattern of Braille.
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
    fn spellings_of_one_name_fold_together() {
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
        fn a_prefix_range_holds_what_begins_with_it(prefix in "[a-z]{1,5}", rest in "\\PC{0,5}") {
            let text = format!("{prefix}{rest}");
            proptest::prop_assert!(text >= prefix && text <= after_prefix(&prefix));
        }
    }

    #[test]
    fn a_name_in_an_address_is_short_plain_and_never_empty() {
        let [plain, distinct] = slugs("Straße der Größe!", "group").unwrap();
        assert_eq!((plain.as_str(), distinct.len()), ("strasse-der-grosse", plain.len() + 9));
        assert!(distinct.starts_with("strasse-der-grosse-"));
        assert_ne!(distinct, slugs("Straße der Größe!", "group").unwrap()[1]);
        assert_eq!(slugs("!!!", "group").unwrap()[0], "group");
        assert!(slugs(&"ab ".repeat(100), "group").unwrap()[0].len() <= LONGEST_SLUG);
    }

    #[test]
    fn fault_r30_what_is_shown_as_nothing_is_blank() {
        for blank in ["", " ", "\u{200b}", "\u{2060}", "\u{3164}", "\u{2800}", "\u{ad}\u{200d}", "\u{a0}\u{feff}"] {
            assert!(is_blank(blank), "{blank:?}");
            assert!(line::<str>(1, 9)(blank, &()).is_err() && block::<str>(1, 9)(blank, &()).is_err(), "{blank:?}");
        }
        for shown in ["a", "\u{200b}a", "👩\u{200d}💻", "・", "ㅤㄱ"] {
            assert!(!is_blank(shown), "{shown:?}");
        }
    }

    #[test]
    fn rules_speak_plainly() {
        let rule = line::<str>(1, 3);
        assert!(rule("abc", &()).is_ok());
        assert_eq!(rule(" ", &()).unwrap_err().message(), "This field may not be blank.");
        assert!(rule("abcd", &()).is_err());
        assert!(rule("a\nb", &()).is_err());
        assert!(block::<str>(1, 3)("a\nb", &()).is_ok());
        assert!(block::<str>(0, 3)("a\0b", &()).is_err());
    }
}
