use std::time::Duration;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    self as kernel, Caller, CursorPage, CursorQuery, Timestamp, UserId, audit,
    db::{self, Tx},
};
use sea_orm::{ActiveValue::NotSet, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set};

use super::SqlAccounts;
use crate::{
    Error, IssuedToken, IssuedUserToken, NewUserToken, Result, Scope, SignIn, UserToken, UserTokenId, UserTokens,
    entity::{user, user_token},
    event::SessionsEnded,
    model::UserTokenRow,
    secret,
    throttle::RateLimit,
};

/// The maximum number of tokens per user; a further one replaces the oldest.
const MAX_TOKENS: i64 = 20;

/// Deletes the `$2` newest tokens of the user `$1` after the first `$3`.
const DELETE_OLDEST: &str = "DELETE FROM accounts_user_token WHERE id IN \
     (SELECT id FROM accounts_user_token WHERE user_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3)";

impl SqlAccounts {
    /// Issues a token for an active user. `confirmed` is the user as of the password check for this request, if
    /// there was one; fails if the account has changed since. `rate` is what is counted.
    pub(super) async fn issue_user_token(
        &self,
        owner: UserId,
        confirmed: Option<&user::Model>,
        rate: Option<RateLimit>,
        new: NewUserToken,
    ) -> Result<IssuedUserToken> {
        let max_days = self.0.settings.user_token_days;
        let lifetime = match new.expires_in_days {
            None => self.0.settings.user_token_lifetime(),
            Some(days) if (1..=max_days).contains(&days) => Duration::from_secs(u64::from(days) * 24 * 3600),
            Some(_) => {
                let message = format!("Must be between 1 and {max_days}.");
                return Err(kernel::Error::field("expires_in_days", message).into());
            }
        };
        let read_only = match &new.scopes {
            None => false,
            Some(scopes) if scopes.is_empty() => {
                return Err(kernel::Error::field("scopes", "Choose at least one of: read, write.").into());
            }
            Some(scopes) => !scopes.contains(&Scope::Write),
        };
        let token = secret::user_token()?;
        let now = self.0.clock.now();
        let (token_ref, name) = (&token, new.name.trim());
        let row = self
            .0
            .db
            .write(|tx| async move {
                let conn = &tx.pipeline();
                let count = async {
                    let Some(rate) = rate else { return Ok(()) };
                    self.0.throttle.check_rate(conn, rate, now).await
                };
                // Locking the user serializes concurrent requests, so that the maximum is never exceeded.
                let user = user::Entity::find_by_id(owner).lock_exclusive().one(conn);
                let ((), user) = tokio::try_join!(count, async { user.await.map_err(Error::from) })?;
                let user = user.filter(|user| user.is_active).ok_or(Error::UserInactive)?;
                if let Some(confirmed) = confirmed {
                    if confirmed.auth_epoch != user.auth_epoch {
                        return Err(Error::InvalidCredentials);
                    }
                    self.0.throttle.record_success(&tx, confirmed, now).await?;
                }
                let deferred = &tx.deferred();
                user_token::Entity::delete_many()
                    .filter(user_token::COLUMN.user_id.eq(owner))
                    .filter(user_token::COLUMN.expires_at.lte(now))
                    .exec(deferred)
                    .await?;
                db::execute(deferred, DELETE_OLDEST, [owner.into(), MAX_TOKENS.into(), (MAX_TOKENS - 1).into()])
                    .await?;
                let row = user_token::ActiveModel {
                    id: NotSet,
                    user_id: Set(owner),
                    name: Set(name.to_owned()),
                    prefix: Set(secret::prefix(token_ref)),
                    token_sha256: Set(secret::fingerprint(token_ref)),
                    created_at: Set(now),
                    expires_at: Set(now + lifetime),
                    last_used_at: Set(None),
                    last4: Set(secret::last4(token_ref)),
                    read_only: Set(read_only),
                };
                let row = db::insert(&tx, row).await?;
                let event = audit::AuditEvent::new("accounts.create_user_token").own(owner, &user.username);
                event.with("token", row.id.0).with("read_only", read_only).record(&tx, now).await?;
                Ok(row)
            })
            .await?;
        Ok(IssuedUserToken { token, shown: row.into() })
    }
}

/// Revokes all user tokens of the caller, and records it in the audit log.
pub(super) async fn delete_user_tokens_of(tx: &Tx, caller: &Caller, now: Timestamp) -> Result<()> {
    let delete = user_token::Entity::delete_many().filter(user_token::COLUMN.user_id.eq(caller.user));
    let deleted = delete.exec(tx).await?.rows_affected;
    let event = audit::AuditEvent::new("accounts.revoke_user_token").by(caller).about(caller.user, "");
    Ok(event.with("tokens", deleted).record(tx, now).await?)
}

#[async_trait]
impl UserTokens for SqlAccounts {
    async fn exchange_for_user_token(&self, sign_in: SignIn) -> Result<IssuedToken> {
        sign_in.validate()?;
        let user = self.check_credentials(&sign_in.username, &sign_in.password).await?;
        self.require_second_factor(&user).await?;
        let rate = Some(RateLimit::SignIn(user.id));
        let issued = self.issue_user_token(user.id, Some(&user), rate, NewUserToken::default()).await?;
        Ok(IssuedToken { token: issued.token, expires_at: issued.shown.expires_at })
    }

    async fn create_user_token(&self, caller: &Caller, new: NewUserToken) -> Result<IssuedUserToken> {
        new.validate()?;
        let confirmed = if let Some(password) = &new.password {
            self.forbid_mfa_bypass(caller).await?;
            Some(self.confirm_password(caller, password, "password").await?)
        } else {
            self.require_recent_password(caller).await?;
            None
        };
        self.issue_user_token(caller.user, confirmed.as_ref(), None, new).await
    }

    async fn user_tokens(&self, caller: &Caller, query: CursorQuery) -> Result<CursorPage<UserToken>> {
        let live = user_token::Entity::find()
            .filter(user_token::COLUMN.user_id.eq(caller.user))
            .filter(user_token::COLUMN.expires_at.gt(self.0.clock.now()));
        let rows = CursorPage::fetch(live, user_token::Column::Id, &query, self.0.db.conn()).await?;
        Ok(rows.map(|row: UserTokenRow| row.into()))
    }

    async fn revoke_user_token(&self, caller: &Caller, id: UserTokenId) -> Result<()> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let deleted = user_token::Entity::delete_by_id(id)
                    .filter(user_token::COLUMN.user_id.eq(caller.user))
                    .exec(&tx)
                    .await?;
                if deleted.rows_affected == 0 {
                    return Err(Error::UserTokenNotFound(id));
                }
                let event = audit::AuditEvent::new("accounts.revoke_user_token").by(caller).about(caller.user, "");
                event.with("token", id.0).record(&tx, now).await?;
                tx.emit(&SessionsEnded { user: caller.user }).await?;
                Ok(())
            })
            .await
    }
}
