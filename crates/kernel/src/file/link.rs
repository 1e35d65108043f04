use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::FileId;
use crate::{Error, Result, secret::Secret};

/// How much of a signature an address carries, in bytes. Nobody can try it without asking us each time.
const LENGTH: usize = 16;

/// What an address opens, for whom and until when, as it is written there.
pub(super) struct Link<'a> {
    pub(super) id: FileId,
    /// Empty where the file is one object.
    pub(super) variant: &'a str,
    /// Empty where the address was made for nobody in particular.
    pub(super) viewer: &'a str,
    /// Unix seconds.
    pub(super) expires: &'a str,
    pub(super) name: &'a str,
}

/// Signs addresses, and knows its own signatures.
pub(super) struct Signer(Hmac<Sha256>);

impl Signer {
    pub(super) fn new(secret: &Secret) -> Result<Self> {
        let keyed = Hmac::<Sha256>::new_from_slice(secret);
        keyed.map(Self).map_err(|error| Error::internal(error.to_string()))
    }

    fn code(&self, link: &Link<'_>) -> Hmac<Sha256> {
        let mut code = self.0.clone();
        code.update(&link.id.0.to_be_bytes());
        for part in [link.variant, link.viewer, link.expires, link.name] {
            // With its length, or the end of one part could be the beginning of the next.
            code.update(&(part.len() as u64).to_be_bytes());
            code.update(part.as_bytes());
        }
        code
    }

    pub(super) fn sign(&self, link: &Link<'_>) -> String {
        let mut signature = self.code(link).finalize().into_bytes().to_vec();
        signature.truncate(LENGTH);
        URL_SAFE_NO_PAD.encode(signature)
    }

    pub(super) fn has_signed(&self, link: &Link<'_>, signature: &str) -> bool {
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        // A shorter one would be compared as far as it goes.
        signature.len() == LENGTH && self.code(link).verify_truncated_left(&signature).is_ok()
    }
}

/// A text as one segment of a path, and as a parameter of a header (RFC 8187 §3.2.1 allows all of this).
pub(super) fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let bytes = text.bytes();
    bytes.map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link<'a>(variant: &'a str, viewer: &'a str) -> Link<'a> {
        Link { id: FileId(1), variant, viewer, expires: "100", name: "a.txt" }
    }

    #[test]
    fn a_signature_is_good_for_what_was_signed_and_nothing_else() {
        let signer = Signer::new(&[1; 32]).unwrap();
        let signature = signer.sign(&link("small", "7"));
        assert_eq!(signature.len(), 22);
        assert!(signer.has_signed(&link("small", "7"), &signature));
        assert!(!signer.has_signed(&link("small7", ""), &signature), "parts do not run into each other");
        assert!(!signer.has_signed(&Link { id: FileId(2), ..link("small", "7") }, &signature));
        assert!(!signer.has_signed(&Link { expires: "101", ..link("small", "7") }, &signature));
        assert!(!signer.has_signed(&Link { name: "b.txt", ..link("small", "7") }, &signature));
        assert!(!Signer::new(&[2; 32]).unwrap().has_signed(&link("small", "7"), &signature));
    }

    #[test]
    fn a_beginning_of_a_signature_is_none() {
        let signer = Signer::new(&[1; 32]).unwrap();
        let signature = signer.sign(&link("", ""));
        for length in 0..signature.len() {
            assert!(!signer.has_signed(&link("", ""), &signature[..length]), "{length}");
        }
        assert!(!signer.has_signed(&link("", ""), &format!("{signature}AA")));
    }

    #[test]
    fn any_name_is_one_segment_of_a_path() {
        assert_eq!(percent_encoded("report-1_a~.pdf"), "report-1_a~.pdf");
        assert_eq!(percent_encoded("a/b ?#%ü"), "a%2Fb%20%3F%23%25%C3%BC");
    }
}
