//! Passwords: which are too weak.

use crate::names;

/// The longest password taken, in bytes: more would only cost time.
pub(crate) const LONGEST: usize = 1024;
/// Fewer guesses than this and a password counts as common. By zxcvbn's count it lies above two
/// common words with a separator and a year, and below eight characters without any pattern.
const FEWEST_GUESSES: u64 = 30_000_000;

/// The longest password of all, judged before anything else is done with it.
pub(crate) fn too_long(password: &str) -> Option<String> {
    (password.len() > LONGEST).then(|| format!("Ensure this password has no more than {LONGEST} bytes."))
}

/// What is wrong with a new password, in words for people.
///
/// It has at least `min_length` characters, is not the name or the address, and is not common, by
/// zxcvbn's lists. No other rules: NIST SP 800-63B-4 advises against them.
pub(crate) fn weaknesses(password: &str, min_length: u32, username: &str, email: &str) -> Vec<String> {
    if let Some(fault) = too_long(password) {
        return vec![fault];
    }
    let mut faults = Vec::new();
    if password.chars().count() < min_length as usize {
        faults.push(format!("This password is too short. It must have at least {min_length} characters."));
    }
    let key = names::key(password);
    let local_part = email.split('@').next().unwrap_or_default();
    let own = [username, email, local_part].map(names::key);
    if own.iter().any(|own| own.chars().count() > 3 && key.contains(own.as_str()) || *own == key) {
        faults.push("This password is too similar to the username or the email address.".to_owned());
    }
    let inputs: Vec<&str> = own.iter().map(String::as_str).filter(|own| !own.is_empty()).collect();
    if zxcvbn::zxcvbn(password, &inputs).guesses() < FEWEST_GUESSES {
        faults.push("This password is too common.".to_owned());
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weak(password: &str) -> bool {
        !weaknesses(password, 8, "anna.miller", "annie@example.org").is_empty()
    }

    #[test]
    fn common_short_and_own_passwords_are_weak() {
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
            assert!(weak(password), "{password}");
        }
    }

    #[test]
    fn others_are_not_whatever_they_are_made_of() {
        let long = "correct horse battery staple ".repeat(30);
        for password in ["correct horse é", "Guild-seed-2026", "k7#pQz2m", "ключ от квартиры", long.trim()]
        {
            assert!(!weak(password), "{password}");
        }
    }
}
