//! The tokens of a session: stored refresh tokens, and signed pairs.

use guildhall_kernel::{SessionId, Timestamp, UserId};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ConnectionTrait, Set, SqlErr};
use uuid::Uuid;

use super::SqlAccounts;
use crate::{
    Error, Result, TokenPair,
    entity::refresh_token,
    jwt::{Subject, TokenType},
    secret,
};

/// A stored refresh token, with what is needed to sign it and its access token.
pub(super) struct IssuedTokens {
    pub(super) user: UserId,
    pub(super) public_id: Uuid,
    pub(super) row: refresh_token::Model,
    pub(super) session_end: Timestamp,
    /// The active signing key.
    pub(super) kid: String,
}

/// The earlier of two timestamps (with SeaORM's traits in scope, `a.min(b)` is ambiguous).
fn earlier(a: Timestamp, b: Timestamp) -> Timestamp {
    std::cmp::min(a, b)
}

impl SqlAccounts {
    /// Signs a pair of tokens. For one row the refresh token is always the same; the access token is new.
    pub(super) async fn sign_tokens(&self, issued: &IssuedTokens) -> Result<TokenPair> {
        let now = self.0.clock.now();
        let access_end = earlier(now + self.0.settings.access_lifetime(), issued.session_end);
        let row = &issued.row;
        let subject = Subject {
            user: issued.user,
            public_id: issued.public_id,
            session: row.session_id,
            generation: row.generation,
        };
        let codec = self.codec_with(&issued.kid).await?;
        // The key of an existing row may have been deleted in the meantime.
        let kid = if codec.can_sign(&row.kid) { &row.kid } else { &issued.kid };
        let jti = secret::random_id()?;
        Ok(TokenPair {
            access: codec.sign(&issued.kid, TokenType::Access, &subject, &jti, now, access_end)?,
            refresh: codec.sign(kid, TokenType::Refresh, &subject, &row.jti, row.issued_at, row.expires_at)?,
            token_type: "Bearer",
            expires_in: access_end.unix_seconds() - now.unix_seconds(),
        })
    }

    /// Stores the next refresh token of a session.
    pub(super) async fn store_refresh_token(
        &self,
        conn: &impl ConnectionTrait,
        session: SessionId,
        user: UserId,
        generation: i64,
        session_end: Timestamp,
        kid: &str,
    ) -> Result<refresh_token::Model> {
        let now = self.0.clock.now();
        let row = refresh_token::ActiveModel {
            id: NotSet,
            session_id: Set(session),
            user_id: Set(user),
            generation: Set(generation),
            jti: Set(secret::random_id()?),
            kid: Set(kid.to_owned()),
            issued_at: Set(now),
            expires_at: Set(earlier(now + self.0.settings.refresh_lifetime(), session_end)),
            consumed_at: Set(None),
        };
        row.insert(conn).await.map_err(|error| match error.sql_err() {
            // The user and the session were deleted in the meantime.
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => Error::SESSION_ENDED,
            _ => error.into(),
        })
    }
}
