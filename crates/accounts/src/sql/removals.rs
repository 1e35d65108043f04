//! Deletion, erasure and data export of users.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    self as kernel, AccountCleanup, Caller, UserId, audit,
    db::{Snapshot, Tx},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Map, Value, json};

use super::{SqlAccounts, other_superusers, staff::require_staff};
use crate::{
    Error, PasswordProof, Removals, Result, UserToken,
    entity::{known_network, one_time_token, recovery_code, session, totp, user, user_token},
    event::UserRemoved,
    model::{SessionRow, UserTokenRow},
    names,
};

/// The maximum number of rows of each kind in an export; more can be read from the paginated lists.
const MAX_EXPORTED: u64 = 1000;

/// Loads and locks a user whom the caller can delete.
async fn find_deletable(conn: &impl ConnectionTrait, caller: &Caller, id: UserId) -> Result<user::Model> {
    let others = other_superusers(conn, id).await?;
    let user = user::Entity::find_by_id(id).lock_exclusive().one(conn).await?.ok_or(Error::UserNotFound(id))?;
    if (user.is_staff || user.is_superuser) && !caller.roles.superuser && caller.user != id {
        return Err(Error::NotSuperuser);
    }
    if user.is_superuser && user.is_active && others == 0 {
        return Err(Error::LastSuperuser);
    }
    Ok(user)
}

impl SqlAccounts {
    /// Deletes a user, unless a domain reports blockers.
    async fn delete(&self, caller: &Caller, id: UserId, successor: Option<UserId>) -> Result<()> {
        let now = self.0.clock.now();
        self.write_users(|tx| async move {
            let conn: &Tx = &tx;
            let user = find_deletable(conn, caller, id).await?;
            if let Some(successor) = successor {
                let is_active =
                    user::Entity::find_by_id(successor).one(conn).await?.is_some_and(|successor| successor.is_active);
                if !is_active || successor == id {
                    return Err(Error::InvalidSuccessor);
                }
            }
            let mut blockers = Vec::new();
            for domain in &self.0.removals {
                blockers.extend(domain.blockers(conn, id, successor).await?);
            }
            if !blockers.is_empty() {
                return Err(Error::Protected(blockers));
            }
            self.release(conn, id, successor).await?;
            let event = audit::AuditEvent::new("accounts.delete_user").by(caller).about(id, &user.username);
            event.record(conn, now).await?;
            self.0.outbox.delete_of(conn, id).await?;
            self.notify_deleted(conn, &user).await?;
            tx.emit(&UserRemoved { user: id, is_erased: false }).await?;
            tx.delete_user(id).await?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    async fn release(&self, conn: &Tx, id: UserId, successor: Option<UserId>) -> Result<()> {
        for domain in &self.0.removals {
            domain.release(conn, id, successor).await?;
        }
        Ok(())
    }

    async fn notify_deleted(&self, conn: &Tx, user: &user::Model) -> Result<()> {
        let message = "Your account was deleted, including your personal data.";
        self.notify(conn, user, "Your account was deleted", message).await
    }

    /// All data about a user, from all domains, without secrets.
    async fn collect(&self, conn: &Snapshot, id: UserId) -> Result<Value> {
        let account = self.find_account(conn, id).await?;
        let sessions = session::Entity::find()
            .filter(session::COLUMN.user_id.eq(id))
            .order_by_desc(session::Column::Id)
            .limit(MAX_EXPORTED)
            .into_partial_model::<SessionRow>()
            .all(conn)
            .await?;
        let tokens = user_token::Entity::find()
            .filter(user_token::COLUMN.user_id.eq(id))
            .into_partial_model::<UserTokenRow>()
            .all(conn)
            .await?;
        let factor = totp::Entity::find_by_id(id).one(conn).await?;
        let second_factor = factor.is_some_and(|factor| factor.confirmed_at.is_some());
        let sessions: Vec<_> = sessions.into_iter().map(|row| row.into_session(None)).collect();
        let tokens: Vec<_> = tokens.into_iter().map(UserToken::from).collect();
        let mut export = Map::new();
        export.insert("exported_at".to_owned(), json!(self.0.clock.now()));
        export.insert("account".to_owned(), json!(account));
        export.insert("second_factor".to_owned(), json!(second_factor));
        export.insert("sessions".to_owned(), json!(sessions));
        export.insert("user_tokens".to_owned(), json!(tokens));
        export.insert("log".to_owned(), json!(audit::about(conn, id, MAX_EXPORTED).await?));
        for domain in &self.0.removals {
            let (name, value) = domain.export(conn, id).await?;
            if !value.is_null() {
                export.insert(name.to_owned(), value);
            }
        }
        Ok(Value::Object(export))
    }
}

#[async_trait]
impl Removals for SqlAccounts {
    async fn delete_me(&self, caller: &Caller, proof: PasswordProof) -> Result<()> {
        proof.validate()?;
        self.forbid_mfa_bypass(caller).await?;
        self.confirm_password(caller, &proof.password, "password").await?;
        self.delete(caller, caller.user, None).await
    }

    async fn export_me(&self, caller: &Caller) -> Result<Value> {
        let snapshot = self.0.db.snapshot().await?;
        self.collect(&snapshot, caller.user).await
    }

    async fn delete_user(&self, caller: &Caller, id: UserId, successor: Option<UserId>) -> Result<()> {
        require_staff(caller)?;
        self.delete(caller, id, successor).await
    }

    async fn erase_user(&self, caller: &Caller, id: UserId) -> Result<()> {
        require_staff(caller)?;
        let now = self.0.clock.now();
        self.write_users(|tx| async move {
            let conn: &Tx = &tx;
            let user = find_deletable(conn, caller, id).await?;
            if user.erased_at.is_some() {
                return Ok::<_, Error>(());
            }
            self.release(conn, id, None).await?;
            self.0.outbox.delete_of(conn, id).await?;
            self.notify_deleted(conn, &user).await?;
            session::Entity::delete_many().filter(session::COLUMN.user_id.eq(id)).exec(conn).await?;
            user_token::Entity::delete_many().filter(user_token::COLUMN.user_id.eq(id)).exec(conn).await?;
            one_time_token::Entity::delete_many().filter(one_time_token::COLUMN.user_id.eq(id)).exec(conn).await?;
            totp::Entity::delete_by_id(id).exec(conn).await?;
            recovery_code::Entity::delete_many().filter(recovery_code::COLUMN.user_id.eq(id)).exec(conn).await?;
            known_network::Entity::delete_many().filter(known_network::COLUMN.user_id.eq(id)).exec(conn).await?;
            let name = names::erased(id);
            // Every column is listed, so that a new one cannot be forgotten.
            let erased = user::Model {
                id,
                public_id: user.public_id,
                username_key: names::key(&name),
                username: name,
                display_name: String::new(),
                first_name: String::new(),
                last_name: String::new(),
                email: String::new(),
                email_key: String::new(),
                email_verified_at: None,
                password_hash: None,
                is_active: false,
                is_teacher: false,
                is_staff: false,
                is_superuser: false,
                auth_epoch: user.auth_epoch + 1,
                last_login: None,
                created_at: user.created_at,
                updated_at: now,
                erased_at: Some(now),
                picture_id: None,
            };
            tx.store_user(&user, &erased).await?;
            tx.emit(&UserRemoved { user: id, is_erased: true }).await?;
            // Recorded without the username, which has just been erased.
            audit::AuditEvent::new("accounts.erase_user").by(caller).about(id, "").record(conn, now).await?;
            Ok(())
        })
        .await?;
        Ok(())
    }
}

#[async_trait]
impl AccountCleanup for SqlAccounts {
    async fn remove_unused(&self, tx: &Tx, id: UserId) -> kernel::Result<bool> {
        let Some(user) = user::Entity::find_by_id(id).lock_exclusive().one(tx).await? else { return Ok(false) };
        if user.is_staff || user.is_superuser {
            return Ok(false);
        }
        for domain in &self.0.removals {
            if domain.is_used(tx, id).await? {
                return Ok(false);
            }
        }
        self.release(tx, id, None).await?;
        let event = audit::AuditEvent::new("accounts.delete_unused_user").about(id, &user.username);
        event.record(tx, self.0.clock.now()).await?;
        tx.emit(&UserRemoved { user: id, is_erased: false }).await?;
        self.delete_user_within(tx, id).await?;
        Ok(true)
    }
}
