//! Access and refresh tokens: signed, and read with every doubt that a token deserves.

use std::{collections::HashMap, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::SigningKey;
use guildhall_kernel::{self as kernel, SessionId, Timestamp, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Error, ed25519, secret};

/// How far in the future a token may say that it was made, for clocks that differ between nodes.
const SKEW_SECONDS: i64 = 60;
const FORGED: Error = Error::TokenNotValid("Token is invalid.");

/// How many tokens are remembered to be well signed.
const REMEMBERED: usize = 10_000;

/// The two kinds of token of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Use {
    Access,
    Refresh,
}

impl Use {
    /// The header's `typ` (RFC 9068 §2.1 for access tokens).
    fn typ(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Refresh => "rt+jwt",
        }
    }
}

/// What a token says. Every claim has one type and none is optional, so that a list where a text
/// belongs, a fraction where a number belongs or a claim given twice makes no token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    /// The user's public id; a text, as RFC 7519 §4.1.2 asks.
    sub: String,
    pub(crate) sid: SessionId,
    pub(crate) jti: String,
    iat: i64,
    exp: i64,
    token_type: Use,
    user_id: i64,
    /// How many refreshes into its session the token was made.
    #[serde(rename = "gen")]
    pub(crate) generation: i64,
}

impl Claims {
    pub(crate) fn user(&self) -> UserId {
        UserId(self.user_id)
    }
}

/// What a token is made from.
pub(crate) struct Subject {
    pub(crate) user: UserId,
    pub(crate) public_id: Uuid,
    pub(crate) session: SessionId,
    pub(crate) generation: i64,
}

/// A key that tokens are signed with, or were.
pub(crate) struct Key {
    pub(crate) kid: String,
    /// Forgotten once the key signs nothing any more.
    pub(crate) seed: Option<[u8; 32]>,
    pub(crate) public: [u8; 32],
}

impl Key {
    /// A new key; its id is the beginning of the hash of its public half.
    pub(crate) fn generate() -> kernel::Result<Self> {
        let seed = secret::random::<32>()?;
        let public = public_half(&seed);
        let kid = URL_SAFE_NO_PAD.encode(&Sha256::digest(public)[..12]);
        Ok(Self { kid, seed: Some(seed), public })
    }
}

/// The public half of a key.
pub(crate) fn public_half(seed: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

/// A public key (RFC 8037 §2).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Jwk {
    /// The kind of key.
    #[schema(example = "OKP")]
    kty: &'static str,
    /// The curve.
    #[schema(example = "Ed25519")]
    crv: &'static str,
    /// What it is for: signatures.
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    usage: &'static str,
    /// The algorithm.
    #[schema(example = "EdDSA")]
    alg: &'static str,
    /// Which key it is: a token's header names it.
    kid: String,
    /// The public key, base64url.
    x: String,
}

/// The public keys, for services that check our tokens themselves (RFC 7517 §5).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Jwks {
    /// Every key that a token may be signed with now.
    keys: Vec<Jwk>,
}

/// Signs and reads tokens with keys that were parsed once.
pub(crate) struct Tokenizer {
    issuer: String,
    longest: Duration,
    pens: HashMap<String, EncodingKey>,
    glasses: HashMap<String, DecodingKey>,
    jwks: Jwks,
    validation: Validation,
    /// What tokens said whose signature was good, by their hash: checking it again costs more than the
    /// query for the session. Lives and dies with the keys.
    verified: Cache<[u8; 32], Read>,
}

/// A token that one of our keys has signed.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) claims: Claims,
    /// Which key that was; whether it is good still, the database knows.
    pub(crate) kid: String,
}

/// Why a token is not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It names a key that is not known here, and may be newer than what is.
    UnknownKey,
    Refused(Error),
}

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Unread> for Error {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::UnknownKey => FORGED,
            Unread::Refused(error) => error,
        }
    }
}

impl Tokenizer {
    /// `longest` is the longest life that a token of ours can have.
    pub(crate) fn new(keys: &[Key], issuer: &str, longest: Duration) -> Self {
        ed25519::install();
        let jwk = |key: &Key| Jwk {
            kty: "OKP",
            crv: "Ed25519",
            usage: "sig",
            alg: "EdDSA",
            kid: key.kid.clone(),
            x: URL_SAFE_NO_PAD.encode(key.public),
        };
        let pen = |key: &Key| Some((key.kid.clone(), EncodingKey::from_ed_der(&key.seed?)));
        let glass = |key: &Key| (key.kid.clone(), DecodingKey::from_ed_der(&key.public));
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[issuer]);
        validation.validate_nbf = true;
        // The service's own clock decides, to the second.
        validation.validate_exp = false;
        Self {
            issuer: issuer.to_owned(),
            longest,
            pens: keys.iter().filter_map(pen).collect(),
            glasses: keys.iter().map(glass).collect(),
            jwks: Jwks { keys: keys.iter().map(jwk).collect() },
            validation,
            verified: Cache::new(REMEMBERED),
        }
    }

    /// The public keys, of those for which `good` holds.
    pub(crate) fn jwks(&self, good: impl Fn(&str) -> bool) -> Jwks {
        Jwks { keys: self.jwks.keys.iter().filter(|key| good(&key.kid)).cloned().collect() }
    }

    /// Can the key with this id sign here?
    pub(crate) fn can_sign(&self, kid: &str) -> bool {
        self.pens.contains_key(kid)
    }

    /// Signs a token. The same arguments make the same token, byte for byte.
    pub(crate) fn sign(
        &self,
        kid: &str,
        usage: Use,
        subject: &Subject,
        jti: &str,
        issued: Timestamp,
        expires: Timestamp,
    ) -> Result<String, Error> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(usage.typ().to_owned());
        header.kid = Some(kid.to_owned());
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.issuer.clone(),
            sub: subject.public_id.to_string(),
            sid: subject.session,
            jti: jti.to_owned(),
            iat: issued.unix_seconds(),
            exp: expires.unix_seconds(),
            token_type: usage,
            user_id: subject.user.0,
            generation: subject.generation,
        };
        let pen = self.pens.get(kid).ok_or_else(|| kernel::Error::internal("the signing key is not known here"))?;
        encode(&header, &claims, pen).map_err(|error| kernel::Error::internal(error).into())
    }

    /// What a token of ours says, expired or not.
    pub(crate) fn read(&self, token: &str, usage: Use, now: Timestamp) -> Result<Read, Unread> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let read = self.verified.get_or_insert_with(&hash, || self.verify(token))?;
        let claims = &read.claims;
        let life = claims.exp.saturating_sub(claims.iat);
        let possible = claims.iat <= now.unix_seconds() + SKEW_SECONDS
            && u64::try_from(life).is_ok_and(|life| life <= self.longest.as_secs());
        if !possible {
            return Err(FORGED.into());
        }
        if claims.token_type != usage {
            return Err(Error::TokenNotValid("Token has wrong type.").into());
        }
        Ok(read)
    }

    /// What a token says that one of our keys has signed.
    fn verify(&self, token: &str) -> Result<Read, Unread> {
        let header = decode_header(token).map_err(|_| FORGED)?;
        // Nothing but our own keys ever verifies, and nothing that we do not understand is passed over.
        let foreign = header.crit.is_some()
            || header.jku.is_some()
            || header.jwk.is_some()
            || header.x5u.is_some()
            || header.x5c.is_some()
            || header.enc.is_some()
            || header.zip.is_some();
        let (Some(kid), false) = (header.kid, foreign) else { return Err(FORGED.into()) };
        let glass = self.glasses.get(&kid).ok_or(Unread::UnknownKey)?;
        let claims = decode::<Claims>(token, glass, &self.validation).map_err(|_| FORGED)?.claims;
        if header.typ.as_deref() != Some(claims.token_type.typ()) {
            return Err(FORGED.into());
        }
        Ok(Read { claims, kid })
    }

    /// What a token of ours says that has not expired.
    pub(crate) fn read_live(&self, token: &str, usage: Use, now: Timestamp) -> Result<Read, Unread> {
        let read = self.read(token, usage, now)?;
        if read.claims.exp <= now.unix_seconds() {
            return Err(Error::TokenExpired.into());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use signature::Signer;

    use super::*;

    const NOW: Timestamp = Timestamp::EPOCH;

    fn tokenizer(seed: u8) -> Tokenizer {
        let key = Key { kid: format!("key-{seed}"), seed: Some([seed; 32]), public: public_half(&[seed; 32]) };
        Tokenizer::new(&[key], "guildhall", Duration::from_secs(3600))
    }

    fn header() -> Value {
        json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "key-1"})
    }

    fn claims() -> Value {
        json!({"iss": "guildhall", "aud": "guildhall", "sub": "x", "sid": 1, "jti": "j", "iat": 0,
            "exp": 300, "token_type": "access", "user_id": 7, "gen": 0})
    }

    /// A token with any header and claims, signed with the right key.
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

    fn read(token: &str) -> Result<Claims, Error> {
        Ok(tokenizer(1).read_live(token, Use::Access, NOW)?.claims)
    }

    #[test]
    fn what_is_signed_is_read_back() {
        let subject = Subject { user: UserId(7), public_id: Uuid::nil(), session: SessionId(3), generation: 2 };
        let tokens = tokenizer(1);
        let expires = NOW + Duration::from_secs(300);
        let token = tokens.sign("key-1", Use::Access, &subject, "j", NOW, expires).unwrap();
        assert_eq!(token, tokens.sign("key-1", Use::Access, &subject, "j", NOW, expires).unwrap());
        let Read { claims, kid } = tokens.read_live(&token, Use::Access, NOW).unwrap();
        assert_eq!((claims.user(), claims.sid, claims.generation), (UserId(7), SessionId(3), 2));
        assert_eq!(kid, "key-1");
        let expired = tokens.read_live(&token, Use::Access, expires);
        assert!(matches!(expired, Err(Unread::Refused(Error::TokenExpired))));
        assert!(tokens.read(&token, Use::Access, expires).is_ok());
        let wrong = tokens.read(&token, Use::Refresh, NOW);
        assert!(matches!(wrong, Err(Unread::Refused(Error::TokenNotValid("Token has wrong type.")))));
        assert!(matches!(tokenizer(2).read(&token, Use::Access, NOW), Err(Unread::UnknownKey)));
        assert!(tokens.sign("key-2", Use::Access, &subject, "j", NOW, expires).is_err());
    }

    #[test]
    fn the_forger_can_make_a_good_token() {
        assert!(read(&forge(&header().to_string(), &claims().to_string())).is_ok());
    }

    #[test]
    fn a_header_that_means_anything_else_is_refused() {
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
            assert!(read(&forge(&with(header(), key, value.clone()), &claims)).is_err(), "{key}: {value}");
        }
        for key in ["alg", "typ", "kid"] {
            assert!(read(&forge(&without(header(), key), &claims)).is_err(), "no {key}");
        }
    }

    #[test]
    fn a_claim_that_is_missing_doubled_or_of_another_type_is_refused() {
        let header = header().to_string();
        for key in ["iss", "aud", "sub", "sid", "jti", "iat", "exp", "token_type", "user_id", "gen"] {
            assert!(read(&forge(&header, &without(claims(), key))).is_err(), "no {key}");
            assert!(read(&forge(&header, &with(claims(), key, json!(null)))).is_err(), "{key} null");
            assert!(read(&forge(&header, &with(claims(), key, json!([claims()[key]])))).is_err(), "{key} list");
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
            assert!(read(&forge(&header, &with(claims(), key, value.clone()))).is_err(), "{key}: {value}");
        }
        let doubled = claims().to_string().replacen('{', r#"{"user_id":1,"#, 1);
        assert!(read(&forge(&header, &doubled)).is_err());
    }

    #[test]
    fn a_token_that_was_tampered_with_is_refused() {
        let token = forge(&header().to_string(), &claims().to_string());
        let parts: Vec<&str> = token.split('.').collect();
        let swapped = URL_SAFE_NO_PAD.encode(with(claims(), "user_id", json!(1)));
        for bad in [
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
            assert!(read(&bad).is_err(), "{}", &bad[..bad.len().min(80)]);
        }
        let public = SigningKey::from_bytes(&[1; 32]).verifying_key();
        let hmac_header = with(header(), "alg", json!("HS256"));
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(hmac_header), parts[1]);
        let signature = URL_SAFE_NO_PAD.encode(Sha256::digest([public.as_bytes(), text.as_bytes()].concat()));
        assert!(read(&format!("{text}.{signature}")).is_err());
    }
}
