//! The tokens in emails that unsubscribe their recipients. They are derived from a key of the installation, so that the
//! link in each email keeps working and nothing is stored.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use guildhall_kernel::{UserId, secret::Secret};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The length of the id in a token.
const ID_BYTES: usize = 8;

/// The key of the tokens.
#[derive(Clone)]
pub(crate) struct UnsubscribeKey(pub(crate) Secret);

impl UnsubscribeKey {
    fn mac(&self, id: &[u8]) -> Option<Hmac<Sha256>> {
        // A key of any length is valid.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(id);
        Some(mac)
    }

    /// The token of a user.
    pub(crate) fn token(&self, user: UserId) -> Option<String> {
        let mut token = user.0.to_be_bytes().to_vec();
        let tag = self.mac(&token)?.finalize().into_bytes();
        token.extend_from_slice(&tag);
        Some(URL_SAFE_NO_PAD.encode(token))
    }

    /// The user with this token.
    pub(crate) fn user(&self, token: &str) -> Option<UserId> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (id, tag) = bytes.split_at_checked(ID_BYTES)?;
        self.mac(id)?.verify_slice(tag).ok()?;
        Some(UserId(i64::from_be_bytes(id.try_into().ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_one_user_and_one_installation() {
        let (key, other) = (UnsubscribeKey([1; 32]), UnsubscribeKey([2; 32]));
        let token = key.token(UserId(7)).unwrap();
        assert_eq!(key.user(&token), Some(UserId(7)));
        assert_eq!(other.user(&token), None);
        let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        bytes[ID_BYTES - 1] = 8;
        let of_another_user = URL_SAFE_NO_PAD.encode(&bytes);
        for invalid in ["", "x", "AAAA", of_another_user.as_str(), &token[..token.len() - 4], &format!("{token}AAAA")] {
            assert_eq!(key.user(invalid), None, "{invalid}");
        }
    }
}
