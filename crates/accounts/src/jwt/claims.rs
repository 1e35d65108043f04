use std::time::Duration;

use guildhall_kernel::{SessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How far in the future `iat` may be, for clocks that differ between nodes.
const SKEW_SECONDS: i64 = 60;

/// The two kinds of token of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenType {
    Access,
    Refresh,
}

impl TokenType {
    /// The header's `typ` (RFC 9068 §2.1 for access tokens).
    pub(super) fn typ(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Refresh => "rt+jwt",
        }
    }
}

/// What a token is issued for.
pub(crate) struct Subject {
    pub(crate) user: UserId,
    pub(crate) public_id: Uuid,
    pub(crate) session: SessionId,
    pub(crate) generation: i64,
}

/// The claims of a token. Every claim has one type and none is optional, so that a list instead of a
/// string, a fraction instead of an integer or a duplicate claim makes the token invalid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    /// The user's public id; a string, as RFC 7519 §4.1.2 requires.
    sub: String,
    pub(crate) sid: SessionId,
    pub(crate) jti: String,
    iat: i64,
    exp: i64,
    pub(super) token_type: TokenType,
    user_id: i64,
    /// The number of refreshes in the session before the token was issued.
    #[serde(rename = "gen")]
    pub(crate) generation: i64,
}

impl Claims {
    pub(super) fn new(
        issuer: &str,
        token_type: TokenType,
        subject: &Subject,
        jti: &str,
        issued: Timestamp,
        expires: Timestamp,
    ) -> Self {
        Self {
            iss: issuer.to_owned(),
            aud: issuer.to_owned(),
            sub: subject.public_id.to_string(),
            sid: subject.session,
            jti: jti.to_owned(),
            iat: issued.unix_seconds(),
            exp: expires.unix_seconds(),
            token_type,
            user_id: subject.user.0,
            generation: subject.generation,
        }
    }

    pub(crate) fn user(&self) -> UserId {
        UserId(self.user_id)
    }

    pub(crate) fn expires_at(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.exp)
    }

    /// Whether the token was issued in the past and for no longer than `max_lifetime`.
    pub(super) fn is_plausible(&self, now: Timestamp, max_lifetime: Duration) -> bool {
        let lifetime = u64::try_from(self.exp.saturating_sub(self.iat));
        self.iat <= now.unix_seconds() + SKEW_SECONDS
            && lifetime.is_ok_and(|lifetime| lifetime <= max_lifetime.as_secs())
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.exp <= now.unix_seconds()
    }
}
