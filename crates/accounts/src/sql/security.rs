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
    SqlAccounts, people, reader,
    sessions::{Opening, end_sessions},
    verified,
};
use crate::{
    EmailChange, Error, PasswordChange, PasswordProof, PasswordReset, RecoveryCodes, ResetRequest, Result, Security,
    TokenPair, TotpCode, TotpSetup,
    entity::{session, user, user_token},
    letters::Reader,
    one_time::{self, Grant, Purpose},
    throttle::Counted,
};

/// For how long a password that was shown counts as shown.
const RECENT: Duration = Duration::from_secs(15 * 60);
/// How long it takes at least to say that a letter may have been sent.
const REQUEST_TAKES: Duration = Duration::from_millis(250);
/// The secrets that are made for whoever reads a mailbox.
const BY_MAIL: [Purpose; 3] = [Purpose::VerifyEmail, Purpose::ChangeEmail, Purpose::ResetPassword];

impl SqlAccounts {
    /// Refuses whoever has not shown the password lately, or shows a user token.
    pub(super) async fn demand_recent_password(&self, caller: &Caller) -> Result<()> {
        let Some(id) = caller.session else { return Err(Error::StepUpRequired) };
        let session = session::Entity::find_by_id(id).one(self.0.db.conn()).await?;
        let now = self.0.clock.now();
        let recent = session.is_some_and(|session| now.since(session.authenticated_at) <= RECENT);
        if recent { Ok(()) } else { Err(Error::StepUpRequired) }
    }

    /// Gives somebody another password; whatever was opened under the one before is over.
    pub(super) async fn store_password(
        &self,
        conn: &impl ConnectionTrait,
        id: kernel::UserId,
        hash: &str,
    ) -> Result<()> {
        let now = self.0.clock.now();
        let met = user::Entity::update_many()
            .col_expr(user::Column::PasswordHash, Expr::value(hash))
            .col_expr(user::Column::AuthEpoch, Expr::col(user::Column::AuthEpoch).add(1))
            .col_expr(user::Column::UpdatedAt, Expr::value(now))
            .filter(user::COLUMN.id.eq(id))
            .exec(conn)
            .await?;
        if met.rows_affected == 0 {
            return Err(Error::UserNotFound(id));
        }
        end_sessions(conn, session::COLUMN.user_id.eq(id), "password_changed", now).await?;
        one_time::take_back(conn, id, &BY_MAIL).await?;
        one_time::take_back(conn, id, &[Purpose::SecondFactor, Purpose::Socket]).await?;
        Ok(())
    }

    /// Refuses whoever shows a user token, where there is a second factor: token and password together
    /// must not lead past it.
    pub(super) async fn demand_session(&self, caller: &Caller) -> Result<()> {
        let past = caller.session.is_none() && self.has_second_factor(caller.user).await?;
        if past { Err(Error::StepUpRequired) } else { Ok(()) }
    }

    /// Leaves the letter with a link to choose a new password with, if one was not sent just now.
    async fn post_reset(&self, id: kernel::UserId) -> Result<()> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                let user = user::Entity::find_by_id(id).one(conn).await?;
                let Some(user) = user.filter(|user| user.is_active && user.email_verified_at.is_some()) else {
                    return Ok(());
                };
                if !self.0.throttle.may_send(conn, Purpose::ResetPassword, &user.email_key, now).await? {
                    return Ok(());
                }
                let link = self.grant_reset(conn, &user).await?;
                let mail = self.0.letters.reset_password(reader(&user), &link)?;
                self.0.outbox.post(conn, Some(user.id), &mail, Purpose::ResetPassword.life()).await?;
                let event = audit::Event::new("accounts.request_reset").about(user.id, &user.username);
                Ok::<_, Error>(event.record(conn, now).await?)
            })
            .await?;
        self.0.outbox.wake();
        Ok(())
    }

    /// Refuses a password that is too weak for this person.
    async fn refuse_weak(&self, user: &user::Model, password: &str) -> Result<()> {
        let own = [user.username.clone(), user.email.clone()];
        let faults = self.weaknesses(password, own, false).await?;
        if faults.is_empty() {
            return Ok(());
        }
        let fields = kernel::FieldErrors::from([("new_password".to_owned(), faults)]);
        Err(kernel::Error::invalid(fields).into())
    }
}

#[async_trait]
impl Security for SqlAccounts {
    async fn change_password(&self, caller: &Caller, change: PasswordChange) -> Result<TokenPair> {
        change.validate()?;
        self.demand_session(caller).await?;
        let person = self.confirm_password(caller, &change.current_password, "current_password").await?;
        self.refuse_weak(&person, &change.new_password).await?;
        let hash = self.0.hasher.hash(&change.new_password).await?;
        let (hash, person, now) = (hash.as_str(), &person, self.0.clock.now());
        let second_factor = match caller.session {
            Some(id) => session::Entity::find_by_id(id).one(self.0.db.conn()).await?.is_some_and(|s| s.second_factor),
            None => false,
        };
        let minted = self
            .0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                let user = user::Entity::find_by_id(caller.user).lock_exclusive().one(conn).await?;
                let user = user.filter(|user| user.auth_epoch == person.auth_epoch && user.is_active);
                let user = user.ok_or(Error::TokenNotValid("The session has ended."))?;
                self.store_password(conn, user.id, hash).await?;
                self.0.throttle.succeed(conn, &user, now).await?;
                audit::Event::new("accounts.change_password").own(user.id, &user.username).record(conn, now).await?;
                let what = "Your password was changed, and every other session has ended. User tokens go on: take back what \
                            you do not know.";
                self.notify(conn, &user, "Your password was changed", what).await?;
                let opening = Opening { user: &user, auth_epoch: user.auth_epoch + 1, second_factor };
                self.open_session(conn, opening).await
            })
            .await?;
        self.0.outbox.wake();
        self.mint(&minted).await
    }

    async fn request_reset(&self, request: ResetRequest) -> Result<()> {
        request.validate()?;
        let (begun, now) = (tokio::time::Instant::now(), self.0.clock.now());
        self.0.db.write(|tx| async move { self.0.throttle.count(tx.conn(), Counted::Reset, now).await }).await?;
        let found = verified(&address_key(&request.email)).one(self.0.db.conn()).await?;
        if let Some(user) = found {
            // Beside the request: whether there was anything to do must not show in the time.
            let (accounts, origin) = (self.clone(), (*Origin::current()).clone());
            let post = async move {
                if let Err(error) = accounts.post_reset(user.id).await {
                    tracing::error!(user.id = user.id.0, %error, "a letter could not be left");
                }
            };
            tokio::spawn(origin.scope(post));
        }
        tokio::time::sleep_until(begun + REQUEST_TAKES).await;
        Ok(())
    }

    async fn reset_password(&self, reset: PasswordReset) -> Result<()> {
        let now = self.0.clock.now();
        let found = one_time::find(self.0.db.conn(), &reset.token, Purpose::ResetPassword, now).await?;
        let bound = |(grant, user): &(crate::entity::one_time_token::Model, user::Model)| grant.email == user.email;
        let (grant, user) = found.filter(bound).ok_or(Error::UsedToken)?;
        self.refuse_weak(&user, &reset.new_password).await?;
        let hash = self.0.hasher.hash(&reset.new_password).await?;
        let (hash, grant, user) = (hash.as_str(), &grant, &user);
        self.0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                let now_there = user::Entity::find_by_id(user.id).lock_exclusive().one(conn).await?;
                let same = now_there.is_some_and(|now| now.auth_epoch == user.auth_epoch && now.email == user.email);
                if !same || !one_time::use_up(conn, grant, now).await? {
                    return Err(Error::UsedToken);
                }
                self.store_password(conn, user.id, hash).await?;
                // Somebody else may have made some while the account was not safe.
                user_token::Entity::delete_many().filter(user_token::COLUMN.user_id.eq(user.id)).exec(conn).await?;
                // Whoever reads the letter has shown that the address is theirs, unless somebody has before.
                if verified(&user.email_key).one(conn).await?.is_none() {
                    user::Entity::update_many()
                        .col_expr(user::Column::EmailVerifiedAt, Expr::value(now))
                        .filter(user::COLUMN.id.eq(user.id))
                        .exec(conn)
                        .await
                        .map_err(people::taken)?;
                }
                self.0.throttle.succeed(conn, user, now).await?;
                audit::Event::new("accounts.reset_password").own(user.id, &user.username).record(conn, now).await?;
                let what =
                    "Your password was changed by a link from a letter. Every session and every user token has ended.";
                self.notify(conn, user, "Your password was changed", what).await
            })
            .await?;
        self.0.outbox.wake();
        Ok(())
    }

    async fn change_email(&self, caller: &Caller, change: EmailChange) -> Result<()> {
        change.validate()?;
        self.demand_session(caller).await?;
        let user = &self.confirm_password(caller, &change.password, "password").await?;
        let (now, email) = (self.0.clock.now(), change.email.as_str());
        self.0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                self.0.throttle.succeed(conn, user, now).await?;
                if !self.0.throttle.may_send(conn, Purpose::ChangeEmail, &address_key(email), now).await? {
                    return Err(Error::Throttled(Duration::from_secs(60)));
                }
                let grant = Grant {
                    purpose: Purpose::ChangeEmail,
                    user: user.id,
                    auth_epoch: user.auth_epoch,
                    email,
                    session: None,
                };
                let (link, row) = grant.prepare(now)?;
                one_time::store(conn, row).await?;
                let other = verified(&address_key(email)).one(conn).await?.filter(|owner| owner.id != user.id);
                let mail = if let Some(owner) = &other {
                    self.0.letters.address_known(reader(owner))?
                } else {
                    let reader = Reader { email, name: &user.username };
                    self.0.letters.confirm_new_address(reader, &link)?
                };
                self.0.outbox.post(conn, Some(user.id), &mail, Purpose::ChangeEmail.life()).await?;
                if user.email_verified_at.is_some() {
                    let notice = self.0.letters.new_address_asked_for(reader(user))?;
                    self.post(conn, user, &notice).await?;
                }
                let event = audit::Event::new("accounts.request_email_change").own(user.id, &user.username);
                Ok::<_, Error>(event.record(conn, now).await?)
            })
            .await?;
        self.0.outbox.wake();
        Ok(())
    }

    async fn confirm_email(&self, token: &str) -> Result<()> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                let (grant, user, is_new) = match one_time::find(conn, token, Purpose::VerifyEmail, now).await? {
                    Some((grant, user)) if grant.email == user.email => (grant, user, false),
                    _ => {
                        let found = one_time::find(conn, token, Purpose::ChangeEmail, now).await?;
                        let (grant, user) = found.ok_or(Error::UsedToken)?;
                        (grant, user, true)
                    }
                };
                if !one_time::use_up(conn, &grant, now).await? {
                    return Err(Error::UsedToken);
                }
                let row = user::ActiveModel {
                    id: Unchanged(user.id),
                    email_key: Set(address_key(&grant.email)),
                    email: Set(grant.email.clone()),
                    email_verified_at: Set(Some(now)),
                    updated_at: Set(now),
                    ..Default::default()
                };
                user::Entity::update(row).exec_without_returning(conn).await.map_err(people::taken)?;
                if is_new {
                    // Links to the old address die with it.
                    one_time::take_back(conn, user.id, &BY_MAIL).await?;
                    if user.email_verified_at.is_some() && user.email != grant.email {
                        let mail = self.0.letters.address_changed(reader(&user))?;
                        self.post(conn, &user, &mail).await?;
                    }
                }
                let action = if is_new { "accounts.change_email" } else { "accounts.verify_email" };
                Ok(audit::Event::new(action).own(user.id, &user.username).record(conn, now).await?)
            })
            .await?;
        self.0.outbox.wake();
        Ok(())
    }

    async fn resend_verification(&self, caller: &Caller) -> Result<()> {
        self.0
            .db
            .write(|tx| async move {
                let user = user::Entity::find_by_id(caller.user).one(tx.conn()).await?;
                let user = user.ok_or(Error::UserNotFound(caller.user))?;
                if user.email_verified_at.is_some() { Ok(()) } else { self.welcome(tx.conn(), &user).await }
            })
            .await?;
        self.0.outbox.wake();
        Ok(())
    }

    async fn step_up(&self, caller: &Caller, proof: PasswordProof) -> Result<()> {
        proof.validate()?;
        let Some(session) = caller.session else { return Err(Error::StepUpRequired) };
        let person = &self.confirm_password(caller, &proof.password, "password").await?;
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                session::Entity::update_many()
                    .col_expr(session::Column::AuthenticatedAt, Expr::value(now))
                    .filter(session::COLUMN.id.eq(session))
                    .exec(conn)
                    .await?;
                self.0.throttle.succeed(conn, person, now).await?;
                let event = audit::Event::new("accounts.step_up").own(person.id, &person.username);
                Ok(event.record(conn, now).await?)
            })
            .await
    }

    async fn set_up_totp(&self, caller: &Caller) -> Result<TotpSetup> {
        self.demand_recent_password(caller).await?;
        self.begin_totp(caller).await
    }

    async fn confirm_totp(&self, caller: &Caller, code: TotpCode) -> Result<RecoveryCodes> {
        self.finish_totp(caller, &code.code).await
    }

    async fn remove_totp(&self, caller: &Caller, proof: PasswordProof) -> Result<()> {
        proof.validate()?;
        self.demand_session(caller).await?;
        let person = self.confirm_password(caller, &proof.password, "password").await?;
        self.drop_totp(&person).await
    }
}
