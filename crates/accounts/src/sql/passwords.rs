//! Checking passwords, with all that surrounds it: counting failures, taking as long for each, and
//! bringing old hashes up to date.

use guildhall_kernel::{Caller, audit, mail::address_key};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::Expr};

use super::{SqlAccounts, find_by_name};
use crate::{
    Error, Result,
    entity::user,
    hasher::Checked,
    throttle::{Attempt, Counted, Target},
};

impl SqlAccounts {
    /// The person with this name and password, if they may sign in. Whatever is wrong, it is said in the
    /// same words and after the same time.
    pub(super) async fn check_credentials(&self, name: &str, password: &str) -> Result<user::Model> {
        let found = find_by_name(self.0.db.conn(), name).await?;
        let attempt = self.0.throttle.attempt(Target::Name(&address_key(name)), found.as_ref().map(|user| user.id));
        let checked = self.try_password(found.as_ref(), &attempt, password).await?;
        match found {
            Some(user) if checked.right && user.is_active => {
                let outdated = checked.outdated;
                drop(checked); // the turn is over, another one may be needed
                let (what, now) = (Counted::SignIn(user.id), self.0.clock.now());
                self.0.db.write(|tx| async move { self.0.throttle.count(tx.conn(), what, now).await }).await?;
                if outdated {
                    self.improve_hash(&user, password).await?;
                }
                Ok(user)
            }
            found => {
                self.count_failure(found.as_ref(), &attempt, "accounts.sign_in").await?;
                self.0.hasher.hold(checked).await;
                Err(Error::InvalidCredentials)
            }
        }
    }

    /// The caller, if that is their password; `field` is where they have given it.
    pub(super) async fn confirm_password(
        &self,
        caller: &Caller,
        password: &str,
        field: &'static str,
    ) -> Result<user::Model> {
        let found = user::Entity::find_by_id(caller.user).one(self.0.db.conn()).await?;
        let user = found.ok_or(Error::UserNotFound(caller.user))?;
        let attempt = self.0.throttle.attempt(Target::User(user.id), Some(user.id));
        let checked = self.try_password(Some(&user), &attempt, password).await?;
        if checked.right {
            return Ok(user);
        }
        self.count_failure(Some(&user), &attempt, "accounts.confirm_password").await?;
        self.0.hasher.hold(checked).await;
        Err(Error::WrongPassword { field })
    }

    async fn try_password(&self, found: Option<&user::Model>, attempt: &Attempt, password: &str) -> Result<Checked> {
        let conn = self.0.db.conn();
        // Before the queue, so that who is throttled keeps nobody waiting; and at its end once more.
        self.0.throttle.admit(conn, attempt, self.0.clock.now()).await?;
        let hash = found.and_then(|user| user.password_hash.as_deref());
        let again = async { self.0.throttle.admit(conn, attempt, self.0.clock.now()).await };
        self.0.hasher.check(password, hash, again).await
    }

    /// Keeps a password as it would be kept now, unless it was changed meanwhile.
    async fn improve_hash(&self, user: &user::Model, password: &str) -> Result<()> {
        let better = self.0.hasher.hash(password).await?;
        let better = better.as_str();
        self.0
            .db
            .write(|tx| async move {
                user::Entity::update_many()
                    .col_expr(user::Column::PasswordHash, Expr::value(better))
                    .filter(user::COLUMN.id.eq(user.id))
                    .filter(user::COLUMN.auth_epoch.eq(user.auth_epoch))
                    .exec(tx.conn())
                    .await
                    .map(|_| ())
            })
            .await?;
        Ok(())
    }

    /// Stores a failure, also in the log. The name that was typed is not kept: it may be a password.
    pub(super) async fn count_failure(
        &self,
        user: Option<&user::Model>,
        attempt: &Attempt,
        action: &'static str,
    ) -> Result<()> {
        self.0.db.write(|tx| async move { self.note_failure(tx.conn(), user, attempt, action).await }).await
    }

    /// The same within a transaction.
    pub(super) async fn note_failure(
        &self,
        conn: &impl ConnectionTrait,
        user: Option<&user::Model>,
        attempt: &Attempt,
        action: &'static str,
    ) -> Result<()> {
        let now = self.0.clock.now();
        self.0.throttle.fail(conn, attempt, now).await?;
        let event = audit::Event::new(action).refused();
        let event = match user {
            Some(user) => event.about(user.id, &user.username),
            None => event,
        };
        Ok(event.record(conn, now).await?)
    }
}
