//! Checking passwords, with all that surrounds it: counting failures, taking as long for each, and
//! bringing old hashes up to date.

use guildhall_kernel::{Caller, audit};
use sea_orm::EntityTrait;

use super::{SqlAccounts, find_by_name};
use crate::{
    Error, Result,
    entity::user,
    hasher::Checked,
    names,
    throttle::{Attempt, Target},
};

/// Somebody who has shown the password.
pub(super) struct Proven {
    pub(super) user: user::Model,
    pub(super) attempt: Attempt,
    /// A better hash of the same password than the one that is kept.
    pub(super) better_hash: Option<String>,
}

impl SqlAccounts {
    /// The person with this name and password, if they may sign in. Whatever is wrong, it is said in the
    /// same words and after the same time.
    pub(super) async fn check_credentials(&self, name: &str, password: &str) -> Result<Proven> {
        let found = find_by_name(self.0.db.conn(), name).await?;
        let key = names::key(name);
        let target = found.as_ref().map_or(Target::Nobody(&key), |user| Target::User(user.id));
        let (attempt, checked) = self.try_password(found.as_ref(), &target, password).await?;
        let able = |user: &user::Model| checked.right && user.is_active;
        match found {
            Some(user) if able(&user) => {
                let better_hash = if checked.outdated { Some(self.0.hasher.hash(password).await?) } else { None };
                Ok(Proven { user, attempt, better_hash })
            }
            found => {
                self.count_failure(found.as_ref(), &attempt, "accounts.sign_in").await?;
                self.0.hasher.hold(&checked).await;
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
    ) -> Result<Proven> {
        let found = user::Entity::find_by_id(caller.user).one(self.0.db.conn()).await?;
        let user = found.ok_or(Error::UserNotFound(caller.user))?;
        let (attempt, checked) = self.try_password(Some(&user), &Target::User(user.id), password).await?;
        if checked.right {
            return Ok(Proven { user, attempt, better_hash: None });
        }
        self.count_failure(Some(&user), &attempt, "accounts.confirm_password").await?;
        self.0.hasher.hold(&checked).await;
        Err(Error::WrongPassword { field })
    }

    async fn try_password(
        &self,
        found: Option<&user::Model>,
        target: &Target<'_>,
        password: &str,
    ) -> Result<(Attempt, Checked)> {
        let attempt = self.0.throttle.admit(self.0.db.conn(), target, self.0.clock.now()).await?;
        let hash = found.and_then(|user| user.password_hash.as_deref());
        Ok((attempt, self.0.hasher.check(password, hash).await?))
    }

    /// Stores a failure, also in the log. The name that was typed is not kept: it may be a password.
    pub(super) async fn count_failure(
        &self,
        user: Option<&user::Model>,
        attempt: &Attempt,
        action: &'static str,
    ) -> Result<()> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                self.0.throttle.fail(tx.conn(), attempt, now).await?;
                let event = audit::Event::new(action).refused();
                let event = match user {
                    Some(user) => event.about(user.id, &user.username),
                    None => event,
                };
                event.record(tx.conn(), now).await?;
                Ok(())
            })
            .await
    }
}
