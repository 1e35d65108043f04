//! The stored one-time tokens.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use guildhall_kernel::{
    SessionId, Timestamp, UserId,
    db::{self, Tx},
};
use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, JoinType, QueryFilter, QuerySelect,
    RelationDef, Set, sea_query::Expr,
};

use crate::{
    Result, UserTokenId,
    entity::{one_time_token, user},
    one_time::{OneTimeToken, Purpose},
    secret,
};

/// The purposes of tokens that are sent by email.
pub(super) const BY_EMAIL: [Purpose; 3] = [Purpose::VerifyEmail, Purpose::ChangeEmail, Purpose::ResetPassword];

/// All purposes.
pub(super) const ANY: [Purpose; 5] =
    [Purpose::VerifyEmail, Purpose::ChangeEmail, Purpose::ResetPassword, Purpose::SecondFactor, Purpose::Socket];

/// A token to be issued.
pub(super) struct NewOneTimeToken<'a> {
    pub(super) purpose: Purpose,
    pub(super) user: UserId,
    pub(super) auth_epoch: i64,
    /// The email address that it is sent to; empty if it is not sent by email.
    pub(super) email: &'a str,
    /// The session that it is bound to.
    pub(super) session: Option<SessionId>,
    /// The user token that it is bound to.
    pub(super) user_token: Option<UserTokenId>,
}

impl NewOneTimeToken<'_> {
    /// Generates a token of 256 bits and its row, which the caller stores with [`store`] in a transaction.
    pub(super) fn generate(&self, now: Timestamp) -> Result<(OneTimeToken, one_time_token::ActiveModel)> {
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
            user_token_id: Set(self.user_token),
        };
        Ok((OneTimeToken { token: token.into(), expires_at }, row))
    }
}

pub(super) async fn store(tx: &Tx, row: one_time_token::ActiveModel) -> Result<(), DbErr> {
    db::insert_only(&tx.deferred(), row).await
}

/// Finds an unused, unexpired token for one of these purposes and its user. The user must be active and have the same
/// `auth_epoch`.
pub(super) async fn find(
    conn: &impl ConnectionTrait,
    token: &str,
    purposes: &[Purpose],
    now: Timestamp,
) -> Result<Option<(one_time_token::Model, user::Model)>> {
    let owner: RelationDef = one_time_token::Entity::belongs_to(user::Entity)
        .from(one_time_token::Column::UserId)
        .to(user::Column::Id)
        .into();
    let live = one_time_token::Entity::find()
        .filter(one_time_token::COLUMN.token_sha256.eq(secret::fingerprint(token)))
        .filter(one_time_token::COLUMN.purpose.is_in(purposes.iter().map(|purpose| purpose.as_str())))
        .filter(one_time_token::COLUMN.used_at.is_null())
        .filter(one_time_token::COLUMN.expires_at.gt(now))
        .join(JoinType::InnerJoin, owner)
        .select_two_required(user::Entity);
    let found = live.one(conn).await?;
    Ok(found.filter(|(token, user)| user.is_active && user.auth_epoch == token.auth_epoch))
}

/// Consumes a token. Of any number of concurrent requests exactly one succeeds.
pub(super) async fn consume(
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
pub(super) async fn revoke(tx: &Tx, user: UserId, purposes: &[Purpose]) -> Result<(), DbErr> {
    one_time_token::Entity::delete_many()
        .filter(one_time_token::COLUMN.user_id.eq(user))
        .filter(one_time_token::COLUMN.purpose.is_in(purposes.iter().map(|purpose| purpose.as_str())))
        .exec(&tx.deferred())
        .await
        .map(|_| ())
}
