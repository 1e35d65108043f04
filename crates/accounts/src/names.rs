//! What may be a name, and when two names are the same.

use guildhall_kernel::{UserId, text};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use unicode_security::{GeneralSecurityProfile, MixedScript};

const LONGEST: usize = 150;
const ERASED: &str = "erased-";

/// The form in which a name is kept and shown.
pub(crate) fn normalize(name: &str) -> String {
    name.nfkc().collect()
}

/// The form in which names are compared; addresses too, of which the part before the `@` might
/// differ in case but in practice never does.
pub(crate) fn key(name: &str) -> String {
    text::fold(name)
}

/// The name of an account of which nothing else is left. Nobody can choose one like it.
pub(crate) fn erased(id: UserId) -> String {
    format!("{ERASED}{id}")
}

/// A garde rule: 1 to 150 letters, digits and `@ . + - _`, in one script, so that no name can be
/// made to look like another's (UTS 39 §5.1).
pub(crate) fn username(name: &str, (): &()) -> garde::Result {
    // Before and after: normalizing costs time, and can make it longer.
    text::line(1, LONGEST)(name, &())?;
    let name = normalize(name);
    text::line(1, LONGEST)(name.as_str(), &())?;
    let allowed = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '@' | '.' | '+' | '-' | '_')
            || (!c.is_ascii() && (c.is_alphanumeric() || is_combining_mark(c)) && c.identifier_allowed())
    };
    if !name.chars().all(allowed) || name.starts_with(is_combining_mark) {
        let message = "Use letters, digits and @ . + - _ only.";
        return Err(garde::Error::new(message));
    }
    if key(&name).starts_with(ERASED) {
        return Err(garde::Error::new("Names that begin like this are taken."));
    }
    if !name.as_str().is_single_script() {
        return Err(garde::Error::new("Use letters of one script only."));
    }
    Ok(())
}

/// A garde rule: something that mail can be sent to.
pub(crate) fn email(address: &str, (): &()) -> garde::Result {
    text::line(1, 254)(address, &())?;
    let options = email_address::Options::default().with_required_tld().without_domain_literal().without_display_text();
    email_address::EmailAddress::parse_with_options(address, options)
        .map(|_| ())
        .map_err(|_| garde::Error::new("Enter a valid email address."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_script_are_taken() {
        for good in ["admin", "a", "Anna.M+1@x-y_z", "Jürgen", "Мария", "王小明", "ひろし", "नमस्ते"]
        {
            assert!(username(good, &()).is_ok(), "{good}");
        }
    }

    #[test]
    fn names_that_could_deceive_are_refused() {
        let long = "a".repeat(151);
        for bad in
            ["", " ", "two words", "аdmin", "a\u{200d}b", "a\u{202e}b", "a\0b", "a/b", "ㅤ", &long, "😀", "Erased-7"]
        {
            assert!(username(bad, &()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_address_has_a_name_and_a_domain() {
        for good in ["a@example.org", "a.b+c@mail.example.org", "jürgen@example.de"] {
            assert!(email(good, &()).is_ok(), "{good}");
        }
        for bad in ["", "a", "a@", "@b.org", "a@b", "A <a@b.org>", "a@[127.0.0.1]", "a@b.org\n"] {
            assert!(email(bad, &()).is_err(), "{bad:?}");
        }
    }
}
