//! Signing and verification of access and refresh tokens.

mod claims;
mod ed25519;
mod keys;

use std::{collections::HashMap, time::Duration};

use guildhall_kernel::{self as kernel, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use crate::Error;

pub(crate) use claims::{Claims, Subject, TokenType};
pub use keys::{Jwk, Jwks};
pub(crate) use keys::{Key, public_key};

const INVALID: Error = Error::TokenNotValid("Token is invalid.");

/// How many verified tokens are cached.
const CACHE_SIZE: usize = 10_000;

/// Signs and verifies tokens with a fixed set of keys.
pub(crate) struct TokenCodec {
    issuer: String,
    max_lifetime: Duration,
    signing_keys: HashMap<String, EncodingKey>,
    verifying_keys: HashMap<String, DecodingKey>,
    jwks: Jwks,
    validation: Validation,
    /// Tokens with a valid signature, by hash: verifying a signature costs more than querying the session.
    /// The cache belongs to the keys and is replaced together with them.
    verified: Cache<[u8; 32], VerifiedToken>,
}

/// A token with a valid signature.
#[derive(Clone, Debug)]
pub(crate) struct VerifiedToken {
    pub(crate) claims: Claims,
    /// The key that signed it. Whether that key is still valid has to be checked in the database.
    pub(crate) kid: String,
}

/// Why a token was not verified.
#[derive(Debug)]
pub(crate) enum TokenError {
    /// The key is not loaded; it may be newer than the loaded keys.
    UnknownKey,
    Rejected(Error),
}

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        Self::Rejected(error)
    }
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::UnknownKey => INVALID,
            TokenError::Rejected(error) => error,
        }
    }
}

impl TokenCodec {
    /// Tokens with a lifetime of more than `max_lifetime` are rejected.
    pub(crate) fn new(keys: &[Key], issuer: &str, max_lifetime: Duration) -> Self {
        ed25519::install();
        let signing_key = |key: &Key| Some((key.kid.clone(), EncodingKey::from_ed_der(&key.seed?)));
        let verifying_key = |key: &Key| (key.kid.clone(), DecodingKey::from_ed_der(&key.public));
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[issuer]);
        validation.validate_nbf = true;
        // Checked against the service's own clock instead, without leeway.
        validation.validate_exp = false;
        Self {
            issuer: issuer.to_owned(),
            max_lifetime,
            signing_keys: keys.iter().filter_map(signing_key).collect(),
            verifying_keys: keys.iter().map(verifying_key).collect(),
            jwks: Jwks::new(keys),
            validation,
            verified: Cache::new(CACHE_SIZE),
        }
    }

    /// The public keys whose ids satisfy `is_valid`.
    pub(crate) fn jwks(&self, is_valid: impl Fn(&str) -> bool) -> Jwks {
        self.jwks.filter(is_valid)
    }

    /// Whether the key with this id is loaded and can sign.
    pub(crate) fn can_sign(&self, kid: &str) -> bool {
        self.signing_keys.contains_key(kid)
    }

    /// Signs a token. The same arguments produce the same token, byte for byte.
    pub(crate) fn sign(
        &self,
        kid: &str,
        token_type: TokenType,
        subject: &Subject,
        jti: &str,
        issued: Timestamp,
        expires: Timestamp,
    ) -> Result<String, Error> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(token_type.typ().to_owned());
        header.kid = Some(kid.to_owned());
        let claims = Claims::new(&self.issuer, token_type, subject, jti, issued, expires);
        let key = self.signing_keys.get(kid).ok_or_else(|| kernel::Error::internal("the signing key is not loaded"))?;
        encode(&header, &claims, key).map_err(|error| kernel::Error::internal(error).into())
    }

    /// Verifies a token, except for its expiry.
    pub(crate) fn verify_allow_expired(
        &self,
        token: &str,
        token_type: TokenType,
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenError> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let verified = self.verified.get_or_insert_with(&hash, || self.verify_signature(token))?;
        if !verified.claims.is_plausible(now, self.max_lifetime) {
            return Err(INVALID.into());
        }
        if verified.claims.token_type != token_type {
            return Err(Error::TokenNotValid("Token has wrong type.").into());
        }
        Ok(verified)
    }

    /// Decodes a token that one of the loaded keys has signed.
    fn verify_signature(&self, token: &str) -> Result<VerifiedToken, TokenError> {
        let header = decode_header(token).map_err(|_| INVALID)?;
        // Reject tokens that bring their own keys or need unsupported extensions.
        let unsupported = header.crit.is_some()
            || header.jku.is_some()
            || header.jwk.is_some()
            || header.x5u.is_some()
            || header.x5c.is_some()
            || header.enc.is_some()
            || header.zip.is_some();
        let (Some(kid), false) = (header.kid, unsupported) else { return Err(INVALID.into()) };
        let key = self.verifying_keys.get(&kid).ok_or(TokenError::UnknownKey)?;
        let claims = decode::<Claims>(token, key, &self.validation).map_err(|_| INVALID)?.claims;
        if header.typ.as_deref() != Some(claims.token_type.typ()) {
            return Err(INVALID.into());
        }
        Ok(VerifiedToken { claims, kid })
    }

    /// Verifies a token, including its expiry.
    pub(crate) fn verify(
        &self,
        token: &str,
        token_type: TokenType,
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenError> {
        let verified = self.verify_allow_expired(token, token_type, now)?;
        if verified.claims.is_expired(now) {
            return Err(Error::TokenExpired.into());
        }
        Ok(verified)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use ed25519_dalek::SigningKey;
    use guildhall_kernel::{SessionId, UserId};
    use serde_json::{Value, json};
    use signature::Signer;
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::EPOCH;

    fn codec(seed: u8) -> TokenCodec {
        let key = Key { kid: format!("key-{seed}"), seed: Some([seed; 32]), public: public_key(&[seed; 32]) };
        TokenCodec::new(&[key], "guildhall", Duration::from_secs(3600))
    }

    fn header() -> Value {
        json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "key-1"})
    }

    fn claims() -> Value {
        json!({"iss": "guildhall", "aud": "guildhall", "sub": "x", "sid": 1, "jti": "j", "iat": 0,
            "exp": 300, "token_type": "access", "user_id": 7, "gen": 0})
    }

    /// A token with any header and claims, signed with the correct key.
    fn forge(header: &str, claims: &str) -> String {
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature: ed25519_dalek::Signature = SigningKey::from_bytes(&[1; 32]).sign(text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    fn with(mut object: Value, key: &str, value: Value) -> String {
        object[key] = value;
        object.to_string()
    }

    fn without(mut object: Value, key: &str) -> String {
        object.as_object_mut().unwrap().remove(key);
        object.to_string()
    }

    fn verify(token: &str) -> Result<Claims, Error> {
        Ok(codec(1).verify(token, TokenType::Access, NOW)?.claims)
    }

    #[test]
    fn a_signed_token_is_verified() {
        let subject = Subject { user: UserId(7), public_id: Uuid::nil(), session: SessionId(3), generation: 2 };
        let tokens = codec(1);
        let expires = NOW + Duration::from_secs(300);
        let token = tokens.sign("key-1", TokenType::Access, &subject, "j", NOW, expires).unwrap();
        assert_eq!(token, tokens.sign("key-1", TokenType::Access, &subject, "j", NOW, expires).unwrap());
        let VerifiedToken { claims, kid } = tokens.verify(&token, TokenType::Access, NOW).unwrap();
        assert_eq!((claims.user(), claims.sid, claims.generation), (UserId(7), SessionId(3), 2));
        assert_eq!(kid, "key-1");
        let expired = tokens.verify(&token, TokenType::Access, expires);
        assert!(matches!(expired, Err(TokenError::Rejected(Error::TokenExpired))));
        assert!(tokens.verify_allow_expired(&token, TokenType::Access, expires).is_ok());
        let wrong_type = tokens.verify(&token, TokenType::Refresh, NOW);
        assert!(matches!(wrong_type, Err(TokenError::Rejected(Error::TokenNotValid("Token has wrong type.")))));
        assert!(matches!(codec(2).verify(&token, TokenType::Access, NOW), Err(TokenError::UnknownKey)));
        assert!(tokens.sign("key-2", TokenType::Access, &subject, "j", NOW, expires).is_err());
    }

    #[test]
    fn a_forged_token_with_valid_header_and_claims_is_accepted() {
        assert!(verify(&forge(&header().to_string(), &claims().to_string())).is_ok());
    }

    #[test]
    fn a_different_header_is_rejected() {
        let claims = claims().to_string();
        for (key, value) in [
            ("alg", json!("none")),
            ("alg", json!("HS256")),
            ("alg", json!("RS256")),
            ("alg", json!("ES256")),
            ("alg", json!(null)),
            ("typ", json!("JWT")),
            ("typ", json!("rt+jwt")),
            ("kid", json!("key-2")),
            ("kid", json!("../key-1")),
            ("crit", json!(["exp"])),
            ("crit", json!(["b64"])),
            ("jku", json!("https://evil.example/keys")),
            ("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"})),
            ("x5u", json!("https://evil.example/cert")),
            ("x5c", json!(["AAAA"])),
            ("zip", json!("DEF")),
        ] {
            assert!(verify(&forge(&with(header(), key, value.clone()), &claims)).is_err(), "{key}: {value}");
        }
        for key in ["alg", "typ", "kid"] {
            assert!(verify(&forge(&without(header(), key), &claims)).is_err(), "no {key}");
        }
    }

    #[test]
    fn a_missing_duplicate_or_mistyped_claim_is_rejected() {
        let header = header().to_string();
        for key in ["iss", "aud", "sub", "sid", "jti", "iat", "exp", "token_type", "user_id", "gen"] {
            assert!(verify(&forge(&header, &without(claims(), key))).is_err(), "no {key}");
            assert!(verify(&forge(&header, &with(claims(), key, json!(null)))).is_err(), "{key} null");
            assert!(verify(&forge(&header, &with(claims(), key, json!([claims()[key]])))).is_err(), "{key} list");
        }
        for (key, value) in [
            ("iss", json!("evil")),
            ("iss", json!(["evil", "guildhall"])),
            ("aud", json!("evil")),
            ("aud", json!(["evil", "guildhall"])),
            ("iss", json!(5)),
            ("sub", json!(7)),
            ("exp", json!(300.5)),
            ("exp", json!(1e18)),
            ("exp", json!(i64::MAX)),
            ("exp", json!("300")),
            ("exp", json!(7200)),
            ("iat", json!(3600)),
            ("iat", json!(i64::MIN)),
            ("nbf", json!(99_999_999_999_i64)),
            ("user_id", json!("7")),
            ("token_type", json!("refresh")),
            ("token_type", json!("sudo")),
        ] {
            assert!(verify(&forge(&header, &with(claims(), key, value.clone()))).is_err(), "{key}: {value}");
        }
        let duplicate = claims().to_string().replacen('{', r#"{"user_id":1,"#, 1);
        assert!(verify(&forge(&header, &duplicate)).is_err());
    }

    #[test]
    fn a_tampered_token_is_rejected() {
        let token = forge(&header().to_string(), &claims().to_string());
        let parts: Vec<&str> = token.split('.').collect();
        let swapped = URL_SAFE_NO_PAD.encode(with(claims(), "user_id", json!(1)));
        for tampered in [
            format!("{}.{swapped}.{}", parts[0], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}", parts[0], parts[1]),
            format!("{token}.{}", parts[2]),
            format!("{token}="),
            format!("{token}A"),
            token.replacen('.', "..", 1),
            String::new(),
            "..".to_owned(),
            "a.b.c".to_owned(),
            "\u{0}".to_owned(),
            "x".repeat(100_000),
        ] {
            assert!(verify(&tampered).is_err(), "{}", &tampered[..tampered.len().min(80)]);
        }
        let public = SigningKey::from_bytes(&[1; 32]).verifying_key();
        let hmac_header = with(header(), "alg", json!("HS256"));
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(hmac_header), parts[1]);
        let signature = URL_SAFE_NO_PAD.encode(Sha256::digest([public.as_bytes(), text.as_bytes()].concat()));
        assert!(verify(&format!("{text}.{signature}")).is_err());
    }
}
