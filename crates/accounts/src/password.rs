//! The password policy.

use crate::names;

/// The maximum length of a password, in bytes: hashing a longer one would only cost time.
pub(crate) const MAX_BYTES: usize = 1024;
/// A password that takes fewer guesses, as estimated by zxcvbn, is too common. The threshold lies
/// above two common words with a separator and a year, and below eight random characters.
const MIN_GUESSES: u64 = 30_000_000;

/// The message for a password that is too long. To be checked before the password is processed.
pub(crate) fn too_long(password: &str) -> Option<String> {
    (password.len() > MAX_BYTES).then(|| format!("Ensure this password has no more than {MAX_BYTES} bytes."))
}

/// Validates a new password; returns messages for the user.
///
/// It must have at least `min_length` characters, must not be similar to the username or email address,
/// and must not be common by zxcvbn's lists. No other rules: NIST SP 800-63B-4 advises against them.
pub(crate) fn weaknesses(password: &str, min_length: u32, username: &str, email: &str) -> Vec<String> {
    if let Some(message) = too_long(password) {
        return vec![message];
    }
    let mut messages = Vec::new();
    if password.chars().count() < min_length as usize {
        messages.push(format!("This password is too short. It must have at least {min_length} characters."));
    }
    let key = names::key(password);
    let local_part = email.split('@').next().unwrap_or_default();
    let identifiers = [username, email, local_part].map(names::key);
    if identifiers.iter().any(|id| id.chars().count() > 3 && key.contains(id.as_str()) || *id == key) {
        messages.push("This password is too similar to the username or the email address.".to_owned());
    }
    let inputs: Vec<&str> = identifiers.iter().map(String::as_str).filter(|id| !id.is_empty()).collect();
    if zxcvbn::zxcvbn(password, &inputs).guesses() < MIN_GUESSES {
        messages.push("This password is too common.".to_owned());
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_weak(password: &str) -> bool {
        !weaknesses(password, 8, "anna.miller", "annie@example.org").is_empty()
    }

    #[test]
    fn common_short_and_similar_passwords_are_weak() {
        let long = "x9".repeat(600);
        for password in [
            "",
            "short1!",
            "password",
            "Password1",
            "your_password",
            "12345678",
            "qwertyuiop",
            "aaaaaaaaaaaa",
            "anna.miller",
            "ANNA.MILLER1",
            "annie-and-more",
            "annie@example.org",
            &long,
        ] {
            assert!(is_weak(password), "{password}");
        }
    }

    #[test]
    fn no_character_classes_are_required() {
        let long = "correct horse battery staple ".repeat(30);
        for password in ["correct horse é", "Guild-seed-2026", "k7#pQz2m", "ключ от квартиры", long.trim()]
        {
            assert!(!is_weak(password), "{password}");
        }
    }
}
