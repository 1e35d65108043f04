//! How people leave: removed, erased, or with a copy of what is kept about them.

use guildhall_kernel::{Caller, UserId, audit};
use sea_orm::{
    ActiveValue::Unchanged, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use serde_json::{Map, Value, json};

use super::{SqlAccounts, other_superusers};
use crate::{
    Error, Result, UserToken,
    entity::{known_network, one_time_token, recovery_code, session, totp, user, user_token},
    model::{SessionRow, UserTokenRow},
    names,
};

/// How much of each kind an export holds: what is more is asked for page by page.
const MOST_EXPORTED: u64 = 1000;

/// Somebody who may be removed by the caller.
async fn removable(conn: &impl ConnectionTrait, caller: &Caller, id: UserId) -> Result<user::Model> {
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
    /// Removes a person, unless what they have cannot go on without them.
    pub(super) async fn remove(&self, caller: &Caller, id: UserId, heir: Option<UserId>) -> Result<()> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                let user = removable(conn, caller, id).await?;
                if let Some(heir) = heir {
                    let fit = user::Entity::find_by_id(heir).one(conn).await?.is_some_and(|heir| heir.is_active);
                    if !fit || heir == id {
                        return Err(Error::UnfitHeir);
                    }
                }
                let mut blockers = Vec::new();
                for domain in &self.0.removals {
                    blockers.extend(domain.blockers(conn, id, heir).await?);
                }
                if !blockers.is_empty() {
                    return Err(Error::Protected(blockers));
                }
                self.release(conn, id, heir).await?;
                let event = audit::Event::new("accounts.delete_user").by(caller).about(id, &user.username);
                event.record(conn, now).await?;
                self.say_goodbye(conn, &user).await?;
                user::Entity::delete_by_id(id).exec(conn).await?;
                Ok(())
            })
            .await?;
        self.0.outbox.wake();
        Ok(())
    }

    /// Makes an account nobody's: the row stays, for what points at it.
    pub(super) async fn erase(&self, caller: &Caller, id: UserId) -> Result<()> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                let user = removable(conn, caller, id).await?;
                if user.erased_at.is_some() {
                    return Ok::<_, Error>(());
                }
                self.release(conn, id, None).await?;
                self.0.outbox.forget(conn, id).await?;
                self.say_goodbye(conn, &user).await?;
                session::Entity::delete_many().filter(session::COLUMN.user_id.eq(id)).exec(conn).await?;
                user_token::Entity::delete_many().filter(user_token::COLUMN.user_id.eq(id)).exec(conn).await?;
                one_time_token::Entity::delete_many().filter(one_time_token::COLUMN.user_id.eq(id)).exec(conn).await?;
                totp::Entity::delete_by_id(id).exec(conn).await?;
                recovery_code::Entity::delete_many().filter(recovery_code::COLUMN.user_id.eq(id)).exec(conn).await?;
                known_network::Entity::delete_many().filter(known_network::COLUMN.user_id.eq(id)).exec(conn).await?;
                let name = names::erased(id);
                let row = user::ActiveModel {
                    id: Unchanged(id),
                    username_key: Set(names::key(&name)),
                    username: Set(name),
                    display_name: Set(String::new()),
                    first_name: Set(String::new()),
                    last_name: Set(String::new()),
                    email: Set(String::new()),
                    email_key: Set(String::new()),
                    email_verified_at: Set(None),
                    password_hash: Set(None),
                    is_active: Set(false),
                    is_teacher: Set(false),
                    is_staff: Set(false),
                    is_superuser: Set(false),
                    auth_epoch: Set(user.auth_epoch + 1),
                    last_login: Set(None),
                    updated_at: Set(now),
                    erased_at: Set(Some(now)),
                    ..Default::default()
                };
                user::Entity::update(row).exec_without_returning(conn).await?;
                // Without the name: it is what was to be forgotten.
                audit::Event::new("accounts.erase_user").by(caller).about(id, "").record(conn, now).await?;
                Ok(())
            })
            .await?;
        self.0.outbox.wake();
        Ok(())
    }

    async fn release(&self, conn: &DatabaseTransaction, id: UserId, heir: Option<UserId>) -> Result<()> {
        for domain in &self.0.removals {
            domain.release(conn, id, heir).await?;
        }
        Ok(())
    }

    async fn say_goodbye(&self, conn: &impl ConnectionTrait, user: &user::Model) -> Result<()> {
        self.notify(conn, user, "Your account was removed", "Your account was removed, with all that was yours.").await
    }

    /// All that is kept about somebody, by whoever keeps it, without secrets.
    pub(super) async fn export(&self, id: UserId) -> Result<Value> {
        let tx = self.0.db.snapshot().await?;
        let export = self.collect(&tx, id).await;
        tx.rollback().await?;
        export
    }

    async fn collect(&self, conn: &DatabaseTransaction, id: UserId) -> Result<Value> {
        let account = self.find_account(conn, id).await?;
        let sessions = session::Entity::find()
            .filter(session::COLUMN.user_id.eq(id))
            .order_by_desc(session::Column::Id)
            .limit(MOST_EXPORTED)
            .into_partial_model::<SessionRow>()
            .all(conn)
            .await?;
        let tokens = user_token::Entity::find()
            .filter(user_token::COLUMN.user_id.eq(id))
            .into_partial_model::<UserTokenRow>()
            .all(conn)
            .await?;
        let second_factor = totp::Entity::find_by_id(id).one(conn).await?;
        let sessions: Vec<_> = sessions.into_iter().map(|row| row.seen_from(None)).collect();
        let tokens: Vec<_> = tokens.into_iter().map(UserToken::from).collect();
        let mut all = Map::new();
        all.insert("exported_at".to_owned(), json!(self.0.clock.now()));
        all.insert("account".to_owned(), json!(account));
        all.insert("second_factor".to_owned(), json!(second_factor.is_some_and(|f| f.confirmed_at.is_some())));
        all.insert("sessions".to_owned(), json!(sessions));
        all.insert("user_tokens".to_owned(), json!(tokens));
        all.insert("log".to_owned(), json!(audit::about(conn, id, MOST_EXPORTED).await?));
        for domain in &self.0.removals {
            let (name, value) = domain.export(conn, id).await?;
            all.insert(name.to_owned(), value);
        }
        Ok(Value::Object(all))
    }
}
