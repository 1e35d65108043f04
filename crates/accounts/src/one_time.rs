//! Secrets that work once: links in letters, the step between password and second factor, tickets
//! for sockets. Kept hashed, each for one purpose, for a time, and only as long as the account is
//! what it was when they were made.

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

/// What a secret is for.
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

    /// How long it works.
    pub(crate) fn life(self) -> Duration {
        Duration::from_secs(match self {
            Self::VerifyEmail => 3 * 24 * 3600,
            Self::ChangeEmail | Self::ResetPassword => 3600,
            Self::SecondFactor => 5 * 60,
            Self::Socket => 30,
        })
    }
}

/// A new secret: the only time that it is seen.
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) expires_at: Timestamp,
}

/// What a secret is made for.
pub(crate) struct Grant<'a> {
    pub(crate) purpose: Purpose,
    pub(crate) user: UserId,
    pub(crate) auth_epoch: i64,
    /// The address that it is sent to; empty where it is sent to none.
    pub(crate) email: &'a str,
    /// The session that it ends with.
    pub(crate) session: Option<SessionId>,
}

impl Grant<'_> {
    /// A secret of 256 bits and its row. In two steps, so that it can be made before the transaction.
    pub(crate) fn prepare(&self, now: Timestamp) -> Result<(Issued, one_time_token::ActiveModel)> {
        let token = URL_SAFE_NO_PAD.encode(secret::random::<32>()?);
        let expires_at = now + self.purpose.life();
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
        Ok((Issued { token, expires_at }, row))
    }
}

pub(crate) async fn store(conn: &impl ConnectionTrait, row: one_time_token::ActiveModel) -> Result<(), DbErr> {
    one_time_token::Entity::insert(row).exec_without_returning(conn).await.map(|_| ())
}

/// The secret, if it still works, and its user, if the account is what it was.
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
    let Some(grant) = live.one(conn).await? else { return Ok(None) };
    let holder = user::Entity::find_by_id(grant.user_id).one(conn).await?;
    let holder = holder.filter(|user| user.is_active && user.auth_epoch == grant.auth_epoch);
    Ok(holder.map(|user| (grant, user)))
}

/// Uses a secret up: of any number that try at once, one does.
pub(crate) async fn use_up(
    conn: &impl ConnectionTrait,
    grant: &one_time_token::Model,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let used = one_time_token::Entity::update_many()
        .col_expr(one_time_token::Column::UsedAt, Expr::value(now))
        .filter(one_time_token::COLUMN.id.eq(grant.id))
        .filter(one_time_token::COLUMN.used_at.is_null());
    Ok(used.exec(conn).await?.rows_affected == 1)
}

/// Takes back every secret of a person that is for one of these purposes.
pub(crate) async fn take_back(conn: &impl ConnectionTrait, user: UserId, purposes: &[Purpose]) -> Result<(), DbErr> {
    one_time_token::Entity::delete_many()
        .filter(one_time_token::COLUMN.user_id.eq(user))
        .filter(one_time_token::COLUMN.purpose.is_in(purposes.iter().map(|purpose| purpose.as_str())))
        .exec(conn)
        .await
        .map(|_| ())
}
