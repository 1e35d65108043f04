//! The tokens of a session: stored refresh tokens, and signed pairs.

use guildhall_kernel::{
    SessionId, Timestamp, UserId,
    db::{self, Tx},
};
use sea_orm::{ActiveValue::NotSet, Set, SqlErr};
use uuid::Uuid;

use super::SqlAccounts;
use crate::{
    Error, Result, TokenPair,
    entity::refresh_token,
    jwt::{Subject, TokenType},
    secret,
};

/// A refresh token that is stored, with what is needed to sign it and its access token.
pub(super) struct IssuedTokens {
    pub(super) user: UserId,
    pub(super) public_id: Uuid,
    pub(super) refresh: RefreshToken,
    pub(super) session_end: Timestamp,
    /// The active signing key.
    pub(super) kid: String,
}

/// The contents of a refresh token.
pub(super) struct RefreshToken {
    session: SessionId,
    generation: i64,
    jti: String,
    kid: String,
    issued_at: Timestamp,
    expires_at: Timestamp,
}

impl From<refresh_token::Model> for RefreshToken {
    fn from(row: refresh_token::Model) -> Self {
        let refresh_token::Model { session_id: session, generation, jti, kid, issued_at, expires_at, .. } = row;
        Self { session, generation, jti, kid, issued_at, expires_at }
    }
}

/// The earlier of two timestamps (with SeaORM's traits in scope, `a.min(b)` is ambiguous).
fn earlier(a: Timestamp, b: Timestamp) -> Timestamp {
    std::cmp::min(a, b)
}

impl SqlAccounts {
    /// Signs a pair of tokens. For one stored token the refresh token is always the same; the access token is new.
    pub(super) async fn sign_tokens(&self, issued: &IssuedTokens) -> Result<TokenPair> {
        let now = self.0.clock.now();
        let access_end = earlier(now + self.0.settings.access_lifetime(), issued.session_end);
        let refresh = &issued.refresh;
        let subject = Subject {
            user: issued.user,
            public_id: issued.public_id,
            session: refresh.session,
            generation: refresh.generation,
        };
        let codec = self.codec_with(&issued.kid).await?;
        // The key of an earlier token may have been deleted in the meantime.
        let kid = if codec.can_sign(&refresh.kid) { &refresh.kid } else { &issued.kid };
        let jti = secret::random_id()?;
        Ok(TokenPair {
            access: codec.sign(&issued.kid, TokenType::Access, &subject, &jti, now, access_end)?,
            refresh: codec.sign(
                kid,
                TokenType::Refresh,
                &subject,
                &refresh.jti,
                refresh.issued_at,
                refresh.expires_at,
            )?,
            token_type: "Bearer",
            expires_in: access_end.unix_seconds() - now.unix_seconds(),
        })
    }

    /// Stores the next refresh token of a session that was read in this transaction.
    pub(super) async fn store_refresh_token(
        &self,
        tx: &Tx,
        session: SessionId,
        user: UserId,
        generation: i64,
        session_end: Timestamp,
        kid: &str,
    ) -> Result<RefreshToken> {
        let now = self.0.clock.now();
        let token = RefreshToken {
            session,
            generation,
            jti: secret::random_id()?,
            kid: kid.to_owned(),
            issued_at: now,
            expires_at: earlier(now + self.0.settings.refresh_lifetime(), session_end),
        };
        let row = refresh_token::ActiveModel {
            id: NotSet,
            session_id: Set(session),
            user_id: Set(user),
            generation: Set(generation),
            jti: Set(token.jti.clone()),
            kid: Set(token.kid.clone()),
            issued_at: Set(token.issued_at),
            expires_at: Set(token.expires_at),
            consumed_at: Set(None),
        };
        let stored = db::insert_only(&tx.deferred(), row).await;
        stored.map_err(|error| match error.sql_err() {
            // On PostgreSQL, the user and the session may have been deleted since they were read.
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => Error::SESSION_ENDED,
            _ => error.into(),
        })?;
        Ok(token)
    }
}
