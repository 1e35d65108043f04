use std::time::Duration;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{self as kernel, Caller, Origin, UserId, audit, db::Tx, mail::address_key};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait},
};

use super::{
    SqlAccounts, accounts,
    keys::KeyStates,
    one_time::{self, NewOneTimeToken},
    recipient,
    sessions::{NewSession, end_sessions},
    verified,
};
use crate::{
    Error, PasswordChange, PasswordProof, PasswordReset, Passwords, ResetRequest, Result, TokenPair,
    entity::{one_time_token, session, user, user_token},
    event::PasswordChanged,
    one_time::{OneTimeToken, Purpose},
    password,
    throttle::RateLimit,
};

/// The minimum duration of a password reset request, whether or not an email is sent.
const MIN_REQUEST_TIME: Duration = Duration::from_millis(250);
/// The memory that the strength estimation of a password takes, in KiB.
const ESTIMATION_KIB: u32 = 1024;

impl SqlAccounts {
    /// Stores a new password hash, ends all sessions and revokes all one-time tokens of the user.
    pub(super) async fn store_password(&self, tx: &Tx, id: UserId, hash: &str) -> Result<()> {
        let now = self.0.clock.now();
        let updated = user::Entity::update_many()
            .col_expr(user::Column::PasswordHash, Expr::value(hash))
            .col_expr(user::Column::AuthEpoch, Expr::col(user::Column::AuthEpoch).add(1))
            .col_expr(user::Column::UpdatedAt, Expr::value(now))
            .filter(user::COLUMN.id.eq(id))
            .exec(tx)
            .await?;
        if updated.rows_affected == 0 {
            return Err(Error::UserNotFound(id));
        }
        end_sessions(&tx.deferred(), session::COLUMN.user_id.eq(id), "password_changed", now).await?;
        Ok(one_time::revoke(tx, id, &one_time::ANY).await?)
    }

    /// Issues a password reset token, to be sent by email.
    pub(super) async fn issue_reset_token(&self, tx: &Tx, user: &user::Model) -> Result<OneTimeToken> {
        let token = NewOneTimeToken {
            purpose: Purpose::ResetPassword,
            user: user.id,
            auth_epoch: user.auth_epoch,
            email: &user.email,
            session: None,
            user_token: None,
        };
        let (token, row) = token.generate(self.0.clock.now())?;
        one_time::store(tx, row).await?;
        Ok(token)
    }

    /// Enqueues an email with a password reset link, unless one was sent recently.
    async fn enqueue_reset(&self, id: UserId) -> Result<()> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let conn = &tx;
                let user = user::Entity::find_by_id(id).one(conn).await?;
                let Some(user) = user.filter(|user| user.is_active && user.email_verified_at.is_some()) else {
                    return Ok(());
                };
                if self.0.throttle.count_email(conn, Purpose::ResetPassword, &user.email_key, now).await?.is_some() {
                    return Ok(());
                }
                let link = self.issue_reset_token(conn, &user).await?;
                let mail = self.0.emails.reset_password(recipient(&user), &link)?;
                self.0.outbox.enqueue_email(conn, Some(user.id), &mail, Purpose::ResetPassword.lifetime()).await?;
                let event = audit::AuditEvent::new("accounts.request_reset").about(user.id, &user.username);
                Ok::<_, Error>(event.record(conn, now).await?)
            })
            .await?;
        Ok(())
    }

    /// Validates a new password for a user with this username and email address; returns messages.
    pub(super) async fn weaknesses(
        &self,
        password: &str,
        [username, email]: [String; 2],
        any_password: bool,
    ) -> Result<Vec<String>> {
        if any_password || password::too_long(password).is_some() {
            return Ok(password::too_long(password).into_iter().collect());
        }
        let (password, min_length) = (password.to_owned(), self.0.settings.password_min_length);
        let estimate = move || Ok(password::weaknesses(&password, min_length, &username, &email));
        Ok(self.0.hasher.run(ESTIMATION_KIB, estimate).await?)
    }

    /// Fails if the new password is too weak for this user.
    async fn check_password_strength(&self, user: &user::Model, password: &str) -> Result<()> {
        let identifiers = [user.username.clone(), user.email.clone()];
        let messages = self.weaknesses(password, identifiers, false).await?;
        if messages.is_empty() {
            return Ok(());
        }
        let fields = kernel::FieldErrors::from([("new_password".to_owned(), messages)]);
        Err(kernel::Error::invalid(fields).into())
    }
}

#[async_trait]
impl Passwords for SqlAccounts {
    async fn change_password(&self, caller: &Caller, change: PasswordChange) -> Result<TokenPair> {
        change.validate()?;
        self.forbid_mfa_bypass(caller).await?;
        let confirmed = self.confirm_password(caller, &change.current_password, "current_password").await?;
        self.check_password_strength(&confirmed, &change.new_password).await?;
        let hash = self.0.hasher.hash(&change.new_password).await?;
        let (hash, confirmed, now) = (hash.as_str(), &confirmed, self.0.clock.now());
        let second_factor = match caller.session {
            Some(id) => session::Entity::find_by_id(id).one(self.0.db.conn()).await?.is_some_and(|s| s.second_factor),
            None => false,
        };
        let issued = self
            .0
            .db
            .write(|tx| async move {
                let conn = &tx;
                let pipeline = tx.pipeline();
                let user = user::Entity::find_by_id(caller.user).lock_exclusive().one(&pipeline);
                let user = async { user.await.map_err(Error::from) };
                let (user, keys) = tokio::try_join!(user, KeyStates::find(&pipeline))?;
                let user = user.filter(|user| user.auth_epoch == confirmed.auth_epoch && user.is_active);
                let user = user.ok_or(Error::SESSION_ENDED)?;
                self.store_password(conn, user.id, hash).await?;
                tx.emit(&PasswordChanged { user: user.id }).await?;
                self.0.throttle.record_success(conn, &user, now).await?;
                audit::AuditEvent::new("accounts.change_password")
                    .own(user.id, &user.username)
                    .record(conn, now)
                    .await?;
                let message = "Your password was changed and all other sessions have ended. User tokens remain valid: \
                               revoke those that you do not recognize.";
                self.notify(conn, &user, "Your password was changed", message).await?;
                let (auth_epoch, kid) = (user.auth_epoch + 1, keys.active()?);
                let session = NewSession { user: &user, auth_epoch, second_factor, kid };
                self.open_session(conn, session).await
            })
            .await?;
        self.sign_tokens(&issued).await
    }

    async fn request_reset(&self, request: ResetRequest) -> Result<()> {
        request.validate()?;
        let (started, now) = (tokio::time::Instant::now(), self.0.clock.now());
        self.0.db.write(|tx| async move { self.0.throttle.check_rate(&tx, RateLimit::Reset, now).await }).await?;
        let found = verified(&address_key(&request.email)).one(self.0.db.conn()).await?;
        if let Some(user) = found {
            // In the background, so that the response time does not reveal whether the account exists.
            let (accounts, origin) = (self.clone(), (*Origin::current()).clone());
            let task = async move {
                if let Err(error) = accounts.enqueue_reset(user.id).await {
                    tracing::error!(user.id = user.id.0, %error, "could not enqueue a password reset email");
                }
            };
            tokio::spawn(origin.scope(task));
        }
        tokio::time::sleep_until(started + MIN_REQUEST_TIME).await;
        Ok(())
    }

    async fn reset_password(&self, reset: PasswordReset) -> Result<()> {
        let now = self.0.clock.now();
        let found = one_time::find(self.0.db.conn(), &reset.token, &[Purpose::ResetPassword], now).await?;
        let same_email = |(token, user): &(one_time_token::Model, user::Model)| token.email == user.email;
        let (token, user) = found.filter(same_email).ok_or(Error::InvalidOneTimeToken)?;
        self.check_password_strength(&user, &reset.new_password).await?;
        let hash = self.0.hasher.hash(&reset.new_password).await?;
        let (hash, token, user) = (hash.as_str(), &token, &user);
        self.0
            .db
            .write(|tx| async move {
                let conn = &tx;
                let current = user::Entity::find_by_id(user.id).lock_exclusive().one(conn).await?;
                let unchanged = current.is_some_and(|row| row.auth_epoch == user.auth_epoch && row.email == user.email);
                let pipeline = tx.pipeline();
                let consume = one_time::consume(&pipeline, token, now);
                let (is_consumed, owner) = tokio::try_join!(consume, verified(&user.email_key).one(&pipeline))?;
                if !unchanged || !is_consumed {
                    return Err(Error::InvalidOneTimeToken);
                }
                self.store_password(conn, user.id, hash).await?;
                // An attacker may have created tokens while the account was compromised.
                let tokens = user_token::Entity::delete_many().filter(user_token::COLUMN.user_id.eq(user.id));
                tokens.exec(&tx.deferred()).await?;
                // The token proves that the email address belongs to the user, unless another user has verified it.
                if owner.is_none() {
                    user::Entity::update_many()
                        .col_expr(user::Column::EmailVerifiedAt, Expr::value(now))
                        .filter(user::COLUMN.id.eq(user.id))
                        .exec(conn)
                        .await
                        .map_err(accounts::unique_violation)?;
                }
                tx.emit(&PasswordChanged { user: user.id }).await?;
                self.0.throttle.record_success(conn, user, now).await?;
                audit::AuditEvent::new("accounts.reset_password")
                    .own(user.id, &user.username)
                    .record(conn, now)
                    .await?;
                let message = "Your password was reset with a link from an email. All sessions have ended and all user \
                               tokens were revoked.";
                self.notify(conn, user, "Your password was changed", message).await
            })
            .await?;
        Ok(())
    }

    async fn step_up(&self, caller: &Caller, proof: PasswordProof) -> Result<()> {
        proof.validate()?;
        let Some(session) = caller.session else { return Err(Error::StepUpRequired) };
        let user = &self.confirm_password(caller, &proof.password, "password").await?;
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let conn = &tx;
                session::Entity::update_many()
                    .col_expr(session::Column::AuthenticatedAt, Expr::value(now))
                    .filter(session::COLUMN.id.eq(session))
                    .exec(&tx.deferred())
                    .await?;
                self.0.throttle.record_success(conn, user, now).await?;
                let event = audit::AuditEvent::new("accounts.step_up").own(user.id, &user.username);
                Ok(event.record(conn, now).await?)
            })
            .await
    }
}
