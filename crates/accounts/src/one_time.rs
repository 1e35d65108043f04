//! One-time tokens: links in emails, the step between password and second factor, WebSocket tickets.
//! Each is stored as a hash, bound to one purpose, expires, and is invalidated when the account's
//! `auth_epoch` changes.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use guildhall_kernel::{SessionId, Timestamp, UserId};
use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Set, sea_query::Expr,
};

use crate::{
    Result,
    entity::{one_time_token, user},
    secret,
};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    VerifyEmail,
    ChangeEmail,
    ResetPassword,
    SecondFactor,
    Socket,
}

impl Purpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ChangeEmail => "change_email",
            Self::ResetPassword => "reset_password",
            Self::SecondFactor => "second_factor",
            Self::Socket => "socket",
        }
    }

    pub(crate) fn lifetime(self) -> Duration {
        Duration::from_secs(match self {
            Self::VerifyEmail => 3 * 24 * 3600,
            Self::ChangeEmail | Self::ResetPassword => 3600,
            Self::SecondFactor => 5 * 60,
            Self::Socket => 30,
        })
    }
}

/// A new token. Only its hash is stored.
pub(crate) struct OneTimeToken {
    pub(crate) token: String,
    pub(crate) expires_at: Timestamp,
}

/// A token to be issued.
pub(crate) struct NewOneTimeToken<'a> {
    pub(crate) purpose: Purpose,
    pub(crate) user: UserId,
    pub(crate) auth_epoch: i64,
    /// The email address that it is sent to; empty if it is not sent by email.
    pub(crate) email: &'a str,
    /// The session that it is bound to.
    pub(crate) session: Option<SessionId>,
}

impl NewOneTimeToken<'_> {
    /// Generates a token of 256 bits and its row, which the caller stores with [`store`] in a transaction.
    pub(crate) fn generate(&self, now: Timestamp) -> Result<(OneTimeToken, one_time_token::ActiveModel)> {
        let token = URL_SAFE_NO_PAD.encode(secret::random::<32>()?);
        let expires_at = now + self.purpose.lifetime();
        let row = one_time_token::ActiveModel {
            id: NotSet,
            user_id: Set(self.user),
            session_id: Set(self.session),
            purpose: Set(self.purpose.as_str().to_owned()),
            token_sha256: Set(secret::fingerprint(&token)),
            email: Set(self.email.to_owned()),
            auth_epoch: Set(self.auth_epoch),
            created_at: Set(now),
            expires_at: Set(expires_at),
            used_at: Set(None),
        };
        Ok((OneTimeToken { token, expires_at }, row))
    }
}

pub(crate) async fn store(conn: &impl ConnectionTrait, row: one_time_token::ActiveModel) -> Result<(), DbErr> {
    one_time_token::Entity::insert(row).exec_without_returning(conn).await.map(|_| ())
}

/// Finds an unused, unexpired token and its user. The user must be active and have the same `auth_epoch`.
pub(crate) async fn find(
    conn: &impl ConnectionTrait,
    token: &str,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<(one_time_token::Model, user::Model)>> {
    let live = one_time_token::Entity::find()
        .filter(one_time_token::COLUMN.token_sha256.eq(secret::fingerprint(token)))
        .filter(one_time_token::COLUMN.purpose.eq(purpose.as_str()))
        .filter(one_time_token::COLUMN.used_at.is_null())
        .filter(one_time_token::COLUMN.expires_at.gt(now));
    let Some(row) = live.one(conn).await? else { return Ok(None) };
    let user = user::Entity::find_by_id(row.user_id).one(conn).await?;
    let user = user.filter(|user| user.is_active && user.auth_epoch == row.auth_epoch);
    Ok(user.map(|user| (row, user)))
}

/// Consumes a token. Of any number of concurrent requests exactly one succeeds.
pub(crate) async fn consume(
    conn: &impl ConnectionTrait,
    row: &one_time_token::Model,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let update = one_time_token::Entity::update_many()
        .col_expr(one_time_token::Column::UsedAt, Expr::value(now))
        .filter(one_time_token::COLUMN.id.eq(row.id))
        .filter(one_time_token::COLUMN.used_at.is_null());
    Ok(update.exec(conn).await?.rows_affected == 1)
}

/// Revokes all tokens of a user for these purposes.
pub(crate) async fn revoke(conn: &impl ConnectionTrait, user: UserId, purposes: &[Purpose]) -> Result<(), DbErr> {
    one_time_token::Entity::delete_many()
        .filter(one_time_token::COLUMN.user_id.eq(user))
        .filter(one_time_token::COLUMN.purpose.is_in(purposes.iter().map(|purpose| purpose.as_str())))
        .exec(conn)
        .await
        .map(|_| ())
}
