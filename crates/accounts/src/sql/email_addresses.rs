use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, audit, db::Tx, mail::address_key};
use sea_orm::EntityTrait;

use super::{
    SqlAccounts, accounts,
    one_time::{self, NewOneTimeToken},
    recipient, verified,
};
use crate::{EmailAddresses, EmailChange, Error, Result, emails::Recipient, entity::user, one_time::Purpose};

impl SqlAccounts {
    /// Enqueues a verification link, unless one was sent recently. If another user has verified the email
    /// address, that user is notified instead.
    pub(super) async fn send_verification(&self, conn: &Tx, user: &user::Model) -> Result<()> {
        let now = self.0.clock.now();
        let pipeline = conn.pipeline();
        let count = self.0.throttle.count_email(&pipeline, Purpose::VerifyEmail, &user.email_key, now);
        let (wait, owner) = tokio::try_join!(count, verified(&user.email_key).one(&pipeline))?;
        if wait.is_some() {
            return Ok(());
        }
        let token = NewOneTimeToken {
            purpose: Purpose::VerifyEmail,
            user: user.id,
            auth_epoch: user.auth_epoch,
            email: &user.email,
            session: None,
            user_token: None,
        };
        let (link, row) = token.generate(now)?;
        one_time::store(conn, row).await?;
        if let Some(owner) = owner {
            let mail = self.0.emails.email_taken(recipient(&owner))?;
            self.enqueue_alert(conn, &owner, &mail).await?;
        } else {
            let mail = self.0.emails.verify_email(recipient(user), &link)?;
            self.0.outbox.enqueue_email(conn, Some(user.id), &mail, Purpose::VerifyEmail.lifetime()).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl EmailAddresses for SqlAccounts {
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
                let key = address_key(email);
                let pipeline = tx.pipeline();
                let count = self.0.throttle.count_email(&pipeline, Purpose::ChangeEmail, &key, now);
                let (wait, owner) = tokio::try_join!(count, verified(&key).one(&pipeline))?;
                if let Some(wait) = wait {
                    return Err(Error::Throttled(wait));
                }
                let token = NewOneTimeToken {
                    purpose: Purpose::ChangeEmail,
                    user: user.id,
                    auth_epoch: user.auth_epoch,
                    email,
                    session: None,
                    user_token: None,
                };
                let (link, row) = token.generate(now)?;
                one_time::store(conn, row).await?;
                let other = owner.filter(|owner| owner.id != user.id);
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
        self.write_users(|tx| async move {
            let conn: &Tx = &tx;
            let found = one_time::find(conn, token, &[Purpose::VerifyEmail, Purpose::ChangeEmail], now).await?;
            let (token, user) = found.ok_or(Error::InvalidOneTimeToken)?;
            let is_new = token.purpose == Purpose::ChangeEmail.as_str();
            if !is_new && token.email != user.email {
                return Err(Error::InvalidOneTimeToken);
            }
            if !one_time::consume(conn, &token, now).await? {
                return Err(Error::InvalidOneTimeToken);
            }
            let after = user::Model {
                email_key: address_key(&token.email),
                email: token.email.clone(),
                email_verified_at: Some(now),
                updated_at: now,
                ..user.clone()
            };
            tx.store_user(&user, &after).await.map_err(accounts::unique_violation)?;
            if is_new {
                // Links that were sent to the old email address must no longer work.
                one_time::revoke(conn, user.id, &one_time::BY_EMAIL).await?;
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
}
