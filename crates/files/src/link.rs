use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use guildhall_kernel::{Error, Result, secret::Secret};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use utoipa::IntoParams;

/// The length of a signature in a URL, in bytes. A truncated one is enough, since each guess takes a request.
const LENGTH: usize = 16;

/// The query parameters of a signed URL.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Signature {
    /// Variant, if there are several.
    v: Option<String>,
    /// User for whom the URL was issued.
    u: Option<String>,
    /// Expiry, in Unix seconds.
    e: Option<String>,
    /// Signature.
    s: Option<String>,
}

impl Signature {
    /// Whether the URL is signed; whether the signature is valid is another question.
    pub fn is_signed(&self) -> bool {
        self.s.is_some()
    }

    /// The variant of the file; empty if it is a single object.
    pub fn variant(&self) -> &str {
        self.v.as_deref().unwrap_or_default()
    }

    pub(crate) fn viewer(&self) -> &str {
        self.u.as_deref().unwrap_or_default()
    }

    pub(crate) fn expires(&self) -> &str {
        self.e.as_deref().unwrap_or_default()
    }

    pub(crate) fn signature(&self) -> Option<&str> {
        self.s.as_deref()
    }
}

/// The signed parts of a URL.
pub(crate) struct Link<'a> {
    /// Empty for the route of this crate; otherwise what the id identifies.
    pub(crate) scope: &'a str,
    pub(crate) id: i64,
    /// Empty if the file is a single object.
    pub(crate) variant: &'a str,
    /// Empty if the URL was not issued for a user.
    pub(crate) viewer: &'a str,
    /// Unix seconds.
    pub(crate) expires: &'a str,
    pub(crate) name: &'a str,
}

/// Signs URLs and verifies the signatures.
pub(crate) struct Signer(Hmac<Sha256>);

impl Signer {
    pub(crate) fn new(secret: &Secret) -> Result<Self> {
        let hmac = Hmac::<Sha256>::new_from_slice(secret);
        hmac.map(Self).map_err(|error| Error::internal(error.to_string()))
    }

    fn code(&self, link: &Link<'_>) -> Hmac<Sha256> {
        let mut code = self.0.clone();
        code.update(&link.id.to_be_bytes());
        for part in [link.scope, link.variant, link.viewer, link.expires, link.name] {
            // Length-prefixed, so that the boundaries between the parts are unambiguous.
            code.update(&(part.len() as u64).to_be_bytes());
            code.update(part.as_bytes());
        }
        code
    }

    pub(crate) fn sign(&self, link: &Link<'_>) -> String {
        let mut signature = self.code(link).finalize().into_bytes().to_vec();
        signature.truncate(LENGTH);
        URL_SAFE_NO_PAD.encode(signature)
    }

    pub(crate) fn has_signed(&self, link: &Link<'_>, signature: &str) -> bool {
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        // A shorter one would be compared only up to its length.
        signature.len() == LENGTH && self.code(link).verify_truncated_left(&signature).is_ok()
    }
}

/// A text as one segment of a path or as a header parameter (RFC 8187 §3.2.1 allows the same characters).
pub(crate) fn percent_encoded(text: &str) -> String {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let bytes = text.bytes();
    let encoded =
        bytes.map(|byte| if is_unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link<'a>(variant: &'a str, viewer: &'a str) -> Link<'a> {
        Link { scope: "", id: 1, variant, viewer, expires: "100", name: "a.txt" }
    }

    #[test]
    fn a_signature_is_valid_only_for_the_signed_link() {
        let signer = Signer::new(&[1; 32]).unwrap();
        let signature = signer.sign(&link("small", "7"));
        assert_eq!(signature.len(), 22);
        assert!(signer.has_signed(&link("small", "7"), &signature));
        assert!(!signer.has_signed(&link("small7", ""), &signature), "the boundaries of the parts are signed");
        assert!(!signer.has_signed(&Link { id: 2, ..link("small", "7") }, &signature));
        assert!(!signer.has_signed(&Link { scope: "other", ..link("small", "7") }, &signature));
        assert!(!signer.has_signed(&Link { expires: "101", ..link("small", "7") }, &signature));
        assert!(!signer.has_signed(&Link { name: "b.txt", ..link("small", "7") }, &signature));
        assert!(!Signer::new(&[2; 32]).unwrap().has_signed(&link("small", "7"), &signature));
    }

    #[test]
    fn a_prefix_of_a_signature_is_invalid() {
        let signer = Signer::new(&[1; 32]).unwrap();
        let signature = signer.sign(&link("", ""));
        for length in 0..signature.len() {
            assert!(!signer.has_signed(&link("", ""), &signature[..length]), "{length}");
        }
        assert!(!signer.has_signed(&link("", ""), &format!("{signature}AA")));
    }

    #[test]
    fn any_name_becomes_one_path_segment() {
        assert_eq!(percent_encoded("report-1_a~.pdf"), "report-1_a~.pdf");
        assert_eq!(percent_encoded("a/b ?#%ü"), "a%2Fb%20%3F%23%25%C3%BC");
    }
}
