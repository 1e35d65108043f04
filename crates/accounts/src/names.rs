//! Validation and comparison of usernames and email addresses.

use guildhall_kernel::{UserId, text};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use unicode_security::{GeneralSecurityProfile, MixedScript};

const MAX_LENGTH: usize = 150;
const ERASED_PREFIX: &str = "erased-";

/// The form in which a name is stored and displayed.
pub(crate) fn normalize(name: &str) -> String {
    name.nfkc().collect()
}

/// The form in which names and email addresses are compared. The local part of an address could be
/// case-sensitive, but in practice never is.
pub(crate) fn key(name: &str) -> String {
    text::fold(name)
}

/// The username of an erased account. The prefix is reserved, so that nobody can register such a name.
pub(crate) fn erased(id: UserId) -> String {
    format!("{ERASED_PREFIX}{id}")
}

/// A garde rule: 1 to 150 letters, digits and `@ . + - _`, in one script, so that no name can imitate
/// another (UTS 39 §5.1).
pub(crate) fn username(name: &str, (): &()) -> garde::Result {
    // Checked before and after: normalization costs time and can make the name longer.
    text::line(1, MAX_LENGTH)(name, &())?;
    let name = normalize(name);
    text::line(1, MAX_LENGTH)(name.as_str(), &())?;
    let allowed = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '@' | '.' | '+' | '-' | '_')
            || (!c.is_ascii() && (c.is_alphanumeric() || is_combining_mark(c)) && c.identifier_allowed())
    };
    if !name.chars().all(allowed) || name.starts_with(is_combining_mark) {
        return Err(garde::Error::new("Use letters, digits and @ . + - _ only."));
    }
    if key(&name).starts_with(ERASED_PREFIX) {
        return Err(garde::Error::new("Usernames that begin with \"erased-\" are reserved."));
    }
    if !name.as_str().is_single_script() {
        return Err(garde::Error::new("Use letters of one script only."));
    }
    Ok(())
}

/// A garde rule: an email address.
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
    fn names_in_one_script_are_accepted() {
        for name in ["admin", "a", "Anna.M+1@x-y_z", "Jürgen", "Мария", "王小明", "ひろし", "नमस्ते"]
        {
            assert!(username(name, &()).is_ok(), "{name}");
        }
    }

    #[test]
    fn names_that_could_imitate_others_are_rejected() {
        let long = "a".repeat(151);
        for name in
            ["", " ", "two words", "аdmin", "a\u{200d}b", "a\u{202e}b", "a\0b", "a/b", "ㅤ", &long, "😀", "Erased-7"]
        {
            assert!(username(name, &()).is_err(), "{name:?}");
        }
    }

    #[test]
    fn an_email_address_has_a_local_part_and_a_domain() {
        for address in ["a@example.org", "a.b+c@mail.example.org", "jürgen@example.de"] {
            assert!(email(address, &()).is_ok(), "{address}");
        }
        for address in ["", "a", "a@", "@b.org", "a@b", "A <a@b.org>", "a@[127.0.0.1]", "a@b.org\n"] {
            assert!(email(address, &()).is_err(), "{address:?}");
        }
    }
}
