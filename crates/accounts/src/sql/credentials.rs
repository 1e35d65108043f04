//! Password checks: throttling, constant-time rejections and hash upgrades.

use std::time::Duration;

use guildhall_kernel::{Caller, audit, db::Tx, mail::address_key};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use super::{SqlAccounts, find_by_login};
use crate::{
    Error, Result,
    entity::{session, user},
    hasher::PasswordCheck,
    throttle::{Attempt, Target},
};

/// How long a recent password check stays valid.
const RECENT_PASSWORD: Duration = Duration::from_secs(15 * 60);

impl SqlAccounts {
    /// Returns the active user with this username or email address and password. All failures give the same
    /// error in the same time. The caller checks [`RateLimit::SignIn`](crate::throttle::RateLimit::SignIn) in the
    /// transaction that completes the sign-in, which counts it.
    pub(super) async fn check_credentials(&self, name: &str, password: &str) -> Result<user::Model> {
        let found = find_by_login(self.0.db.conn(), name).await?;
        let attempt = self.0.throttle.attempt(Target::Name(&address_key(name)), found.as_ref().map(|user| user.id));
        let check = self.check_password(found.as_ref(), &attempt, password).await?;
        match found {
            Some(user) if check.is_correct && user.is_active => {
                let outdated = check.outdated;
                drop(check); // returns the permit, which upgrading the hash needs
                if outdated {
                    self.upgrade_hash(&user, password).await?;
                }
                Ok(user)
            }
            found => {
                self.record_failure(found.as_ref(), &attempt, "accounts.sign_in").await?;
                self.0.hasher.delay_rejection(check).await;
                Err(Error::InvalidCredentials)
            }
        }
    }

    /// Checks the caller's password and returns their row; `field` is the request field that contains it.
    pub(super) async fn confirm_password(
        &self,
        caller: &Caller,
        password: &str,
        field: &'static str,
    ) -> Result<user::Model> {
        let found = user::Entity::find_by_id(caller.user).one(self.0.db.conn()).await?;
        let user = found.ok_or(Error::UserNotFound(caller.user))?;
        let attempt = self.0.throttle.attempt(Target::User(user.id), Some(user.id));
        let check = self.check_password(Some(&user), &attempt, password).await?;
        if check.is_correct {
            return Ok(user);
        }
        self.record_failure(Some(&user), &attempt, "accounts.confirm_password").await?;
        self.0.hasher.delay_rejection(check).await;
        Err(Error::WrongPassword { field })
    }

    /// Fails unless the caller has a session in which the password was confirmed recently.
    pub(super) async fn require_recent_password(&self, caller: &Caller) -> Result<()> {
        let Some(id) = caller.session else { return Err(Error::StepUpRequired) };
        let session = session::Entity::find_by_id(id).one(self.0.db.conn()).await?;
        let now = self.0.clock.now();
        let recent = session.is_some_and(|session| now.since(session.authenticated_at) <= RECENT_PASSWORD);
        if recent { Ok(()) } else { Err(Error::StepUpRequired) }
    }

    /// Fails if the caller uses a user token but has a second factor: a user token and the password together
    /// must not bypass it.
    pub(super) async fn forbid_mfa_bypass(&self, caller: &Caller) -> Result<()> {
        let bypasses = caller.session.is_none() && self.has_second_factor(caller.user).await?;
        if bypasses { Err(Error::StepUpRequired) } else { Ok(()) }
    }

    async fn check_password(
        &self,
        found: Option<&user::Model>,
        attempt: &Attempt,
        password: &str,
    ) -> Result<PasswordCheck> {
        let conn = &self.0.db.conn().pipeline();
        // Checked before the queue, so that throttled attempts do not occupy it, and again after it.
        self.0.throttle.check(conn, attempt, self.0.clock.now()).await?;
        let hash = found.and_then(|user| user.password_hash.as_ref()).map(|hash| hash.0.as_str());
        let recheck = async { self.0.throttle.check(conn, attempt, self.0.clock.now()).await };
        self.0.hasher.check(password, hash, recheck).await
    }

    /// Replaces an outdated hash, unless the password was changed in the meantime.
    async fn upgrade_hash(&self, user: &user::Model, password: &str) -> Result<()> {
        let hash = self.0.hasher.hash(password).await?;
        let hash = hash.as_str();
        self.0
            .db
            .write(|tx| async move {
                user::Entity::update_many()
                    .col_expr(user::Column::PasswordHash, Expr::value(hash))
                    .filter(user::COLUMN.id.eq(user.id))
                    .filter(user::COLUMN.auth_epoch.eq(user.auth_epoch))
                    .exec(&tx)
                    .await
                    .map(|_| ())
            })
            .await?;
        Ok(())
    }

    /// Records a failure in the throttle and the audit log. The entered username is not stored, since users
    /// sometimes type their password there.
    async fn record_failure(&self, user: Option<&user::Model>, attempt: &Attempt, action: &'static str) -> Result<()> {
        self.0.db.write(|tx| async move { self.record_failure_in(&tx, user, attempt, action).await }).await
    }

    /// Like [`record_failure`](Self::record_failure), within a transaction.
    pub(super) async fn record_failure_in(
        &self,
        tx: &Tx,
        user: Option<&user::Model>,
        attempt: &Attempt,
        action: &'static str,
    ) -> Result<()> {
        let now = self.0.clock.now();
        self.0.throttle.record_failure(tx, attempt, now).await?;
        let event = audit::AuditEvent::new(action).refused();
        let event = match user {
            Some(user) => event.about(user.id, &user.username),
            None => event,
        };
        Ok(event.record(tx, now).await?)
    }
}
