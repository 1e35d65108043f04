//! Random secrets and their fingerprints.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use guildhall_kernel as kernel;
pub(crate) use guildhall_kernel::secret::{fingerprint, random};

/// How every user token begins, so that a scanner for leaked secrets knows one.
const USER_TOKEN_PREFIX: &str = "ght_";
/// How much of a user token is kept readable, to tell one from another in a list.
const SHOWN: usize = 12;

/// A random identifier of 128 bits.
pub(crate) fn random_id() -> kernel::Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random::<16>()?))
}

/// Makes a recovery code: 80 random bits in groups that can be read from paper.
pub(crate) fn recovery_code() -> kernel::Result<String> {
    // Without letters that look like digits (RFC 4648 has no 0, 1, 8, 9 in base 32).
    let letters = totp_rs::Secret::from(random::<10>()?.to_vec()).to_base32().to_ascii_lowercase();
    let groups: Vec<&str> = (0..letters.len()).step_by(4).filter_map(|at| letters.get(at..at + 4)).collect();
    Ok(groups.join("-"))
}

/// Makes a user token: the prefix, 256 random bits and a checksum that tells a mistyped token from
/// an unknown one without a look at the database.
pub(crate) fn user_token() -> kernel::Result<String> {
    let body = URL_SAFE_NO_PAD.encode(random::<32>()?);
    let checksum = URL_SAFE_NO_PAD.encode(crc32fast::hash(body.as_bytes()).to_be_bytes());
    Ok(format!("{USER_TOKEN_PREFIX}{body}{checksum}"))
}

/// Is it one of our tokens with a wrong letter in it? Then there is no need to look for it.
pub(crate) fn is_mistyped(token: &str) -> bool {
    let Some(rest) = token.strip_prefix(USER_TOKEN_PREFIX) else {
        return false;
    };
    let Some((body, checksum)) = rest.split_at_checked(43) else {
        return true;
    };
    checksum != URL_SAFE_NO_PAD.encode(crc32fast::hash(body.as_bytes()).to_be_bytes())
}

/// The readable beginning of a user token.
pub(crate) fn shown(token: &str) -> String {
    token.chars().take(SHOWN).collect()
}

/// The readable end of a user token: of its checksum, which says nothing that the rest does not.
pub(crate) fn last4(token: &str) -> String {
    token.get(token.len().saturating_sub(4)..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_tokens_are_long_marked_and_different() {
        let (one, two) = (user_token().unwrap(), user_token().unwrap());
        assert!(one.starts_with("ght_") && one.len() == 4 + 43 + 6);
        assert_ne!(one, two);
        assert_ne!(fingerprint(&one), fingerprint(&two));
        assert!(one.starts_with(&shown(&one)) && shown(&one).len() == 12);
        assert!(!is_mistyped(&one) && is_mistyped(&one[..46]) && is_mistyped(&one.replace("ght_", "ght_A")));
    }
}
