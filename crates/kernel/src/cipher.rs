//! Encryption of text at rest, with keys that are not in the database.
//!
//! A [`KeyRing`] seals a text before it is stored, and opens it after it was read. The id of the key is stored in a
//! column of its own, beside the text: without one the text is not encrypted, so what a user writes is never taken for
//! an encrypted text, and rows from before the encryption was turned on stay readable. The module also finds keys that
//! rows need ([`KeyRing::missing`]) and changes the keys of stored rows ([`KeyRing::reencrypt`]).
//!
//! The algorithm is AES-256-GCM. Each text has a key of its own, derived from a key of the ring and 96 random bits with
//! HMAC-SHA-256, and a random nonce of 96 bits. The two can only repeat together, which after 2^48 texts with one key
//! has a probability of less than 2^-96; with a nonce alone, NIST SP 800-38D §8.3 limits a key to 2^32 texts.

mod column;

use std::{
    fmt::{self, Display},
    sync::Arc,
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};

use crate::{Error, Result, secret::random};

pub use column::{KeyUse, Reencrypted, SealedColumn};

/// The first byte of an encrypted text.
const VERSION: u8 = 1;
/// The number of random bytes that the key of a text is derived from.
const SALT_LEN: usize = 12;
/// The greatest number of keys in a ring.
const MAX_KEYS: usize = 32;
/// The longest id of a key.
const MAX_ID: usize = 32;

/// A text as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The text; in base64 if it is encrypted.
    pub text: String,
    /// The id of its key; `None` if it is not encrypted.
    pub key_id: Option<String>,
}

/// Why a stored text cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Its key is not in the ring.
    #[error("its key is not in the ring")]
    UnknownKey,
    /// It was changed, or belongs to another row.
    #[error("it is damaged, or belongs to another row")]
    Damaged,
}

/// Why keys cannot be used. Keys are named by their position from 1, since what is wrong may be the key itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// Not an id, a colon and a key.
    #[error("key {0} must be an id and 32 bytes in base64, like 2025a:3q2+7w…")]
    Form(usize),
    /// The id has other characters, or is too long.
    #[error("the id of key {0} must be 1 to {MAX_ID} lowercase letters, digits, - or _")]
    Id(usize),
    /// Two keys have the same id.
    #[error("two keys have the id {0}")]
    Duplicate(String),
    /// More keys than a ring can hold.
    #[error("there are more than {MAX_KEYS} keys")]
    TooMany,
    /// Encryption is on without a key.
    #[error("there is no key to encrypt with")]
    NoKey,
}

/// Keys by their ids, and whether texts are encrypted; cheap to clone. The default has no keys and encrypts nothing.
#[derive(Clone, Default)]
pub struct KeyRing {
    keys: Arc<[Key]>,
    is_on: bool,
}

struct Key {
    id: String,
    derivation: hmac::Key,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("keys", &self.ids().collect::<Vec<_>>()).field("is_on", &self.is_on).finish()
    }
}

impl KeyRing {
    /// Keys as `id:key`, where the key is 32 random bytes in base64. The first one encrypts, if `is_on`; all decrypt.
    ///
    /// # Errors
    /// A key or an id is invalid, or `is_on` is set and there is no key.
    pub fn parse<T: AsRef<str>>(keys: impl IntoIterator<Item = T>, is_on: bool) -> Result<Self, InvalidKeys> {
        let mut ring: Vec<Key> = Vec::new();
        for (index, key) in keys.into_iter().enumerate() {
            let (id, key) = key.as_ref().trim().split_once(':').ok_or(InvalidKeys::Form(index + 1))?;
            let is_id = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
            if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(is_id) {
                return Err(InvalidKeys::Id(index + 1));
            }
            let bytes = STANDARD.decode(key).ok().filter(|bytes| bytes.len() == 32);
            let bytes = bytes.ok_or(InvalidKeys::Form(index + 1))?;
            if ring.iter().any(|known| known.id == id) {
                return Err(InvalidKeys::Duplicate(id.to_owned()));
            }
            if ring.len() == MAX_KEYS {
                return Err(InvalidKeys::TooMany);
            }
            ring.push(Key { id: id.to_owned(), derivation: hmac::Key::new(hmac::HMAC_SHA256, &bytes) });
        }
        if is_on && ring.is_empty() {
            return Err(InvalidKeys::NoKey);
        }
        Ok(Self { keys: ring.into(), is_on })
    }

    /// The ids of the keys, the first one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// The id of the key that encrypts; `None` if nothing is encrypted.
    pub fn current(&self) -> Option<&str> {
        self.encrypting().map(|key| key.id.as_str())
    }

    fn encrypting(&self) -> Option<&Key> {
        self.keys.first().filter(|_| self.is_on)
    }

    /// The text as it is to be stored. It can only be opened with the same context, which names the table, the column
    /// and the row: a text that was moved to another row is refused. An empty text is not encrypted.
    ///
    /// # Errors
    /// There are no random numbers.
    pub fn seal(&self, text: String, context: impl Display) -> Result<Sealed> {
        let Some(key) = self.encrypting().filter(|_| !text.is_empty()) else {
            return Ok(Sealed { text, key_id: None });
        };
        let failed = |_| Error::internal("a text could not be encrypted");
        let [salt, nonce] = [random::<SALT_LEN>()?, random::<NONCE_LEN>()?];
        let mut bytes = text.into_bytes();
        let aead = key.derive(&salt).map_err(failed)?;
        let tag = aead
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), key.bind(context), &mut bytes)
            .map_err(failed)?;
        let stored = [&[VERSION][..], &salt[..], &nonce[..], &bytes, tag.as_ref()].concat();
        Ok(Sealed { text: STANDARD_NO_PAD.encode(stored), key_id: Some(key.id.clone()) })
    }

    /// The text that was sealed with this context.
    ///
    /// # Errors
    /// The key is not in the ring, or the text is another one than the key and the context belong to.
    pub fn open(&self, text: String, key_id: Option<&str>, context: impl Display) -> Result<String, Unreadable> {
        let Some(key_id) = key_id else { return Ok(text) };
        let key = self.keys.iter().find(|key| key.id == key_id).ok_or(Unreadable::UnknownKey)?;
        let stored = STANDARD_NO_PAD.decode(text).map_err(|_| Unreadable::Damaged)?;
        key.open(&stored, context).ok_or(Unreadable::Damaged)
    }
}

impl Key {
    /// The key of a text.
    fn derive(&self, salt: &[u8]) -> Result<LessSafeKey, ring::error::Unspecified> {
        let derived = hmac::sign(&self.derivation, salt);
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, derived.as_ref())?))
    }

    /// What is authenticated beside the text.
    fn bind(&self, context: impl Display) -> Aad<String> {
        Aad::from(format!("{VERSION}/{}/{context}", self.id))
    }

    fn open(&self, stored: &[u8], context: impl Display) -> Option<String> {
        let (&version, rest) = stored.split_first()?;
        let (salt, rest) = rest.split_first_chunk::<SALT_LEN>()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
        if version != VERSION {
            return None;
        }
        let mut bytes = rest.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.derive(salt).ok()?.open_in_place(nonce, self.bind(context), &mut bytes).ok()?.len();
        bytes.truncate(plain);
        String::from_utf8(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prop_assert_eq;

    use super::*;

    const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const NEW: &str = "new:HxwdHhsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

    fn ring(keys: &[&str]) -> KeyRing {
        KeyRing::parse(keys, true).unwrap()
    }

    proptest::proptest! {
        #[test]
        fn what_was_sealed_can_be_opened(text in "(?s).{0,300}") {
            let sealed = ring(&[OLD]).seal(text.clone(), "a/1").unwrap();
            prop_assert_eq!(ring(&[NEW, OLD]).open(sealed.text, sealed.key_id.as_deref(), "a/1").unwrap(), text);
        }
    }

    #[test]
    fn a_sealed_text_shows_nothing_and_is_never_the_same() {
        let seal = || ring(&[OLD]).seal("a secret".into(), "a/1").unwrap();
        assert_ne!(seal().text, seal().text);
        assert!(!seal().text.contains("secret"));
        assert_eq!(seal().key_id.as_deref(), Some("old"));
    }

    #[test]
    fn a_text_is_only_opened_in_its_own_place_and_with_its_own_key() {
        let keys = ring(&[OLD, NEW]);
        let Sealed { text, key_id } = keys.seal("a secret".into(), "a/1").unwrap();
        let open = |text: &str, key_id: &str, context: &str| keys.open(text.to_owned(), Some(key_id), context);
        assert_eq!(key_id.as_deref(), Some("old"));
        assert_eq!(open(&text, "old", "a/1").unwrap(), "a secret");
        assert_eq!(open(&text, "old", "a/2"), Err(Unreadable::Damaged));
        assert_eq!(open(&text, "new", "a/1"), Err(Unreadable::Damaged));
        assert_eq!(open(&text, "lost", "a/1"), Err(Unreadable::UnknownKey));
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(open(&String::from_utf8(changed).unwrap(), "old", "a/1"), Err(Unreadable::Damaged), "{at}");
            assert_eq!(open(&text[..at], "old", "a/1"), Err(Unreadable::Damaged), "{at}");
        }
    }

    #[test]
    fn a_text_without_a_key_is_never_decrypted() {
        let sealed = ring(&[OLD]).seal("a secret".into(), "a/1").unwrap();
        assert_eq!(ring(&[OLD]).open(sealed.text.clone(), None, "a/1").unwrap(), sealed.text);
        // An encrypted text that a user has written is encrypted once more.
        let again = ring(&[OLD]).seal(sealed.text.clone(), "a/1").unwrap();
        assert_eq!(ring(&[OLD]).open(again.text, again.key_id.as_deref(), "a/1").unwrap(), sealed.text);
    }

    #[test]
    fn without_encryption_a_text_stays_as_it_is() {
        for keys in [KeyRing::default(), KeyRing::parse([OLD], false).unwrap()] {
            assert_eq!(keys.seal("plain".into(), "a/1").unwrap(), Sealed { text: "plain".into(), key_id: None });
            assert_eq!(keys.current(), None);
        }
        let sealed = ring(&[OLD]).seal("a secret".into(), "a/1").unwrap();
        let off = KeyRing::parse([OLD], false).unwrap();
        assert_eq!(off.open(sealed.text, sealed.key_id.as_deref(), "a/1").unwrap(), "a secret");
    }

    #[test]
    fn invalid_keys_are_refused_without_showing_them() {
        let parse = |keys: &[&str]| KeyRing::parse(keys, true).unwrap_err();
        assert_eq!(parse(&[]), InvalidKeys::NoKey);
        assert_eq!(parse(&[OLD, NEW, OLD]), InvalidKeys::Duplicate("old".into()));
        assert_eq!(parse(&[OLD, &OLD.replace("old", "Old")]), InvalidKeys::Id(2));
        assert_eq!(parse(&[&OLD.replace("old", "")]), InvalidKeys::Id(1));
        for key in [&OLD[4..], "old:", "old:AAEC", &OLD[..46], "old:not base64"] {
            assert_eq!(parse(&[key]), InvalidKeys::Form(1), "{key}");
        }
        let many: Vec<String> = (0..=MAX_KEYS).map(|n| OLD.replace("old", &n.to_string())).collect();
        assert_eq!(KeyRing::parse(&many, true).unwrap_err(), InvalidKeys::TooMany);
        assert!(KeyRing::parse([""; 0], false).is_ok());
        assert_eq!(format!("{:?}", ring(&[OLD])), "KeyRing { keys: [\"old\"], is_on: true }");
    }
}
