//! Random secrets and their hashes.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use guildhall_kernel as kernel;
pub(crate) use guildhall_kernel::secret::{fingerprint, random};

/// The prefix of user tokens, by which scanners for leaked secrets recognize them.
const USER_TOKEN_PREFIX: &str = "ght_";
/// How many characters of a user token are stored in plain text, to identify it in a list.
const PREFIX_LENGTH: usize = 12;

/// A random identifier of 128 bits.
pub(crate) fn random_id() -> kernel::Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random::<16>()?))
}

/// Generates a recovery code: 80 random bits in groups of four characters.
pub(crate) fn recovery_code() -> kernel::Result<String> {
    // Base 32 has no 0, 1, 8 and 9 (RFC 4648), which could be mistaken for letters.
    let encoded = totp_rs::Secret::from(random::<10>()?.to_vec()).to_base32().to_ascii_lowercase();
    let groups: Vec<&str> = (0..encoded.len()).step_by(4).filter_map(|start| encoded.get(start..start + 4)).collect();
    Ok(groups.join("-"))
}

/// Generates a user token: the prefix, 256 random bits and a checksum, which identifies a mistyped
/// token without a database query.
pub(crate) fn user_token() -> kernel::Result<String> {
    let body = URL_SAFE_NO_PAD.encode(random::<32>()?);
    let checksum = URL_SAFE_NO_PAD.encode(crc32fast::hash(body.as_bytes()).to_be_bytes());
    Ok(format!("{USER_TOKEN_PREFIX}{body}{checksum}"))
}

/// Whether a user token has a wrong checksum, so that there is no need to look it up.
pub(crate) fn is_mistyped(token: &str) -> bool {
    let Some(rest) = token.strip_prefix(USER_TOKEN_PREFIX) else {
        return false;
    };
    let Some((body, checksum)) = rest.split_at_checked(43) else {
        return true;
    };
    checksum != URL_SAFE_NO_PAD.encode(crc32fast::hash(body.as_bytes()).to_be_bytes())
}

/// The first characters of a user token, stored in plain text.
pub(crate) fn prefix(token: &str) -> String {
    token.chars().take(PREFIX_LENGTH).collect()
}

/// The last four characters of a user token. They belong to the checksum and reveal nothing about the secret
/// that the hash does not.
pub(crate) fn last4(token: &str) -> String {
    token.get(token.len().saturating_sub(4)..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_tokens_are_prefixed_unique_and_have_a_checksum() {
        let (first, second) = (user_token().unwrap(), user_token().unwrap());
        assert!(first.starts_with("ght_") && first.len() == 4 + 43 + 6);
        assert_ne!(first, second);
        assert_ne!(fingerprint(&first), fingerprint(&second));
        assert!(first.starts_with(&prefix(&first)) && prefix(&first).len() == 12);
        assert!(!is_mistyped(&first) && is_mistyped(&first[..46]) && is_mistyped(&first.replace("ght_", "ght_A")));
    }
}
