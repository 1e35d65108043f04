use std::time::Duration;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{self as kernel, Caller, Origin, audit, mail::address_key};
use sea_orm::{
    ActiveValue::Unchanged,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Set,
    sea_query::{Expr, ExprTrait},
};

use super::{
    SqlAccounts, recipient,
    sessions::{NewSession, end_sessions},
    users, verified,
};
use crate::{
    EmailChange, Error, PasswordChange, PasswordProof, PasswordReset, RecoveryCodes, ResetRequest, Result, Security,
    TokenPair, TotpCode, TotpSetup,
    emails::Recipient,
    entity::{one_time_token, session, user, user_token},
    event::PasswordChanged,
    one_time::{self, NewOneTimeToken, Purpose},
    throttle::RateLimit,
};

/// How long a recent password check stays valid.
const RECENT_PASSWORD: Duration = Duration::from_secs(15 * 60);
/// The minimum duration of a password reset request, whether or not an email is sent.
const MIN_REQUEST_TIME: Duration = Duration::from_millis(250);
/// The purposes of tokens that are sent by email.
const BY_EMAIL: [Purpose; 3] = [Purpose::VerifyEmail, Purpose::ChangeEmail, Purpose::ResetPassword];

impl SqlAccounts {
    /// Fails unless the caller has a session in which the password was confirmed recently.
    pub(super) async fn require_recent_password(&self, caller: &Caller) -> Result<()> {
        let Some(id) = caller.session else { return Err(Error::StepUpRequired) };
        let session = session::Entity::find_by_id(id).one(self.0.db.conn()).await?;
        let now = self.0.clock.now();
        let recent = session.is_some_and(|session| now.since(session.authenticated_at) <= RECENT_PASSWORD);
        if recent { Ok(()) } else { Err(Error::StepUpRequired) }
    }

    /// Stores a new password hash, ends all sessions and revokes all one-time tokens of the user.
    pub(super) async fn store_password(
        &self,
        conn: &impl ConnectionTrait,
        id: kernel::UserId,
        hash: &str,
    ) -> Result<()> {
        let now = self.0.clock.now();
        let updated = user::Entity::update_many()
            .col_expr(user::Column::PasswordHash, Expr::value(hash))
            .col_expr(user::Column::AuthEpoch, Expr::col(user::Column::AuthEpoch).add(1))
            .col_expr(user::Column::UpdatedAt, Expr::value(now))
            .filter(user::COLUMN.id.eq(id))
            .exec(conn)
            .await?;
        if updated.rows_affected == 0 {
            return Err(Error::UserNotFound(id));
        }
        end_sessions(conn, session::COLUMN.user_id.eq(id), "password_changed", now).await?;
        one_time::revoke(conn, id, &BY_EMAIL).await?;
        one_time::revoke(conn, id, &[Purpose::SecondFactor, Purpose::Socket]).await?;
        Ok(())
    }

    /// Fails if the caller uses a user token but has a second factor: a user token and the password together
    /// must not bypass it.
    pub(super) async fn forbid_mfa_bypass(&self, caller: &Caller) -> Result<()> {
        let bypasses = caller.session.is_none() && self.has_second_factor(caller.user).await?;
        if bypasses { Err(Error::StepUpRequired) } else { Ok(()) }
    }

    /// Enqueues an email with a password reset link, unless one was sent recently.
    async fn enqueue_reset(&self, id: kernel::UserId) -> Result<()> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let conn = &tx;
                let user = user::Entity::find_by_id(id).one(conn).await?;
                let Some(user) = user.filter(|user| user.is_active && user.email_verified_at.is_some()) else {
                    return Ok(());
                };
                if !self.0.throttle.allow_email(conn, Purpose::ResetPassword, &user.email_key, now).await? {
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
impl Security for SqlAccounts {
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
                let user = user::Entity::find_by_id(caller.user).lock_exclusive().one(conn).await?;
                let user = user.filter(|user| user.auth_epoch == confirmed.auth_epoch && user.is_active);
                let user = user.ok_or(Error::TokenNotValid("The session has ended."))?;
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
                let session = NewSession { user: &user, auth_epoch: user.auth_epoch + 1, second_factor };
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
        let found = one_time::find(self.0.db.conn(), &reset.token, Purpose::ResetPassword, now).await?;
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
                if !unchanged || !one_time::consume(conn, token, now).await? {
                    return Err(Error::InvalidOneTimeToken);
                }
                self.store_password(conn, user.id, hash).await?;
                // An attacker may have created tokens while the account was compromised.
                user_token::Entity::delete_many().filter(user_token::COLUMN.user_id.eq(user.id)).exec(conn).await?;
                // The token proves that the email address belongs to the user, unless another user has verified it.
                if verified(&user.email_key).one(conn).await?.is_none() {
                    user::Entity::update_many()
                        .col_expr(user::Column::EmailVerifiedAt, Expr::value(now))
                        .filter(user::COLUMN.id.eq(user.id))
                        .exec(conn)
                        .await
                        .map_err(users::unique_violation)?;
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

    async fn change_email(&self, caller: &Caller, change: EmailChange) -> Result<()> {
        change.validate()?;
        self.forbid_mfa_bypass(caller).await?;
        let user = &self.confirm_password(caller, &change.password, "password").await?;
        let (now, email) = (self.0.clock.now(), change.email.as_str());
        self.0
            .db
            .write(|tx| async move {
                let conn = &tx;
                self.0.throttle.record_success(conn, user, now).await?;
                if !self.0.throttle.allow_email(conn, Purpose::ChangeEmail, &address_key(email), now).await? {
                    return Err(Error::Throttled(Duration::from_secs(60)));
                }
                let token = NewOneTimeToken {
                    purpose: Purpose::ChangeEmail,
                    user: user.id,
                    auth_epoch: user.auth_epoch,
                    email,
                    session: None,
                };
                let (link, row) = token.generate(now)?;
                one_time::store(conn, row).await?;
                let other = verified(&address_key(email)).one(conn).await?.filter(|owner| owner.id != user.id);
                let mail = if let Some(owner) = &other {
                    self.0.emails.email_taken(recipient(owner))?
                } else {
                    let recipient = Recipient { email, name: &user.username };
                    self.0.emails.confirm_new_email(recipient, &link)?
                };
                self.0.outbox.enqueue_email(conn, Some(user.id), &mail, Purpose::ChangeEmail.lifetime()).await?;
                if user.email_verified_at.is_some() {
                    let notice = self.0.emails.email_change_requested(recipient(user))?;
                    self.enqueue_alert(conn, user, &notice).await?;
                }
                let event = audit::AuditEvent::new("accounts.request_email_change").own(user.id, &user.username);
                Ok::<_, Error>(event.record(conn, now).await?)
            })
            .await?;
        Ok(())
    }

    async fn confirm_email(&self, token: &str) -> Result<()> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let conn = &tx;
                let (token, user, is_new) = match one_time::find(conn, token, Purpose::VerifyEmail, now).await? {
                    Some((token, user)) if token.email == user.email => (token, user, false),
                    _ => {
                        let found = one_time::find(conn, token, Purpose::ChangeEmail, now).await?;
                        let (token, user) = found.ok_or(Error::InvalidOneTimeToken)?;
                        (token, user, true)
                    }
                };
                if !one_time::consume(conn, &token, now).await? {
                    return Err(Error::InvalidOneTimeToken);
                }
                let row = user::ActiveModel {
                    id: Unchanged(user.id),
                    email_key: Set(address_key(&token.email)),
                    email: Set(token.email.clone()),
                    email_verified_at: Set(Some(now)),
                    updated_at: Set(now),
                    ..Default::default()
                };
                user::Entity::update(row).exec_without_returning(conn).await.map_err(users::unique_violation)?;
                if is_new {
                    // Links that were sent to the old email address must no longer work.
                    one_time::revoke(conn, user.id, &BY_EMAIL).await?;
                    if user.email_verified_at.is_some() && user.email != token.email {
                        let mail = self.0.emails.email_changed(recipient(&user))?;
                        self.enqueue_alert(conn, &user, &mail).await?;
                    }
                }
                let action = if is_new { "accounts.change_email" } else { "accounts.verify_email" };
                Ok(audit::AuditEvent::new(action).own(user.id, &user.username).record(conn, now).await?)
            })
            .await?;
        Ok(())
    }

    async fn resend_verification(&self, caller: &Caller) -> Result<()> {
        self.0
            .db
            .write(|tx| async move {
                let user = user::Entity::find_by_id(caller.user).one(&tx).await?;
                let user = user.ok_or(Error::UserNotFound(caller.user))?;
                if user.email_verified_at.is_some() { Ok(()) } else { self.send_verification(&tx, &user).await }
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
                    .exec(conn)
                    .await?;
                self.0.throttle.record_success(conn, user, now).await?;
                let event = audit::AuditEvent::new("accounts.step_up").own(user.id, &user.username);
                Ok(event.record(conn, now).await?)
            })
            .await
    }

    async fn set_up_totp(&self, caller: &Caller) -> Result<TotpSetup> {
        self.require_recent_password(caller).await?;
        self.create_totp(caller).await
    }

    async fn confirm_totp(&self, caller: &Caller, code: TotpCode) -> Result<RecoveryCodes> {
        self.activate_totp(caller, &code.code).await
    }

    async fn remove_totp(&self, caller: &Caller, proof: PasswordProof) -> Result<()> {
        proof.validate()?;
        self.forbid_mfa_bypass(caller).await?;
        let user = self.confirm_password(caller, &proof.password, "password").await?;
        self.delete_totp(&user).await
    }
}
