use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    self as kernel, Caller, IfMatch, Ordering, Page, PageQuery, Roles, Slice, SliceQuery, UserId, audit,
    mail::address_key, text,
};
use sea_orm::{
    ActiveValue::Unchanged,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select, Set,
    sea_query::{Expr, ExprTrait},
};

use super::{SqlAccounts, other_superusers, people, reader, sessions::end_sessions, verified};
use crate::{
    Account, AccountChange, AccountFilter, Error, NewAccount, NewUser, Result, Session, Staff,
    entity::{recovery_code, session, totp, user, user_token},
    model::{AccountRow, roles},
    names,
    one_time::{self, Grant, Purpose},
};

/// A change of what somebody may do.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) is_active: Option<bool>,
    pub(super) roles: Option<Roles>,
}

fn roles_of(user: &user::Model) -> Roles {
    Roles { teacher: user.is_teacher, staff: user.is_staff, superuser: user.is_superuser }
}

/// Only a superuser gives or takes `staff` and `superuser`, and does anything to those who have them;
/// but for what people do to themselves.
fn may_change(caller: &Caller, whom: Option<UserId>, before: Roles, after: Roles) -> Result<()> {
    let high = (before.staff, before.superuser) != (after.staff, after.superuser);
    let above = before.is_staff() && whom != Some(caller.user);
    if (high || above) && !caller.roles.superuser { Err(Error::NotSuperuser) } else { Ok(()) }
}

fn staff_only(caller: &Caller) -> Result<()> {
    if caller.roles.is_staff() { Ok(()) } else { Err(Error::NotStaff) }
}

/// The accounts that staff asks for. Roles and states stand as bare columns, as their indexes have them.
pub(super) fn matching(filter: &AccountFilter) -> Result<Select<user::Entity>> {
    let mut select = user::Entity::find().filter(user::COLUMN.erased_at.is_null());
    if let Some(search) = filter.search.as_ref().filter(|search| !search.is_empty()) {
        let prefix = names::key(search);
        let end = text::after_prefix(&prefix);
        select = if search.contains('@') {
            select.filter(user::COLUMN.email_key.between(prefix, end))
        } else {
            select.filter(user::COLUMN.username_key.between(prefix, end))
        };
    }
    if let Some(role) = filter.role.as_ref().filter(|role| !role.is_empty()) {
        let column = match role.as_str() {
            "teacher" => user::Column::IsTeacher,
            "staff" => user::Column::IsStaff,
            "superuser" => user::Column::IsSuperuser,
            _ => {
                return Err(kernel::Error::field("role", format!("Choose from: {}.", Roles::NAMES.join(", "))).into());
            }
        };
        select = select.filter(Expr::col((user::Entity, column)));
    }
    Ok(match filter.is_active {
        Some(true) => select.filter(Expr::col((user::Entity, user::Column::IsActive))),
        Some(false) => select.filter(Expr::col((user::Entity, user::Column::IsActive)).not()),
        None => select,
    })
}

impl SqlAccounts {
    /// Changes whether somebody may sign in, and their roles, and says so in the log. Whoever may no
    /// longer sign in loses every session and user token for good. The last superuser stays.
    pub(super) async fn change_standing(
        &self,
        conn: &impl ConnectionTrait,
        id: UserId,
        change: Change,
        event: audit::Event,
    ) -> Result<()> {
        let now = self.0.clock.now();
        let others = other_superusers(conn, id).await?;
        let user = user::Entity::find_by_id(id).lock_exclusive().one(conn).await?;
        let user = user.filter(|user| user.erased_at.is_none()).ok_or(Error::UserNotFound(id))?;
        let before = roles_of(&user);
        let after = change.roles.unwrap_or(before);
        let active = change.is_active.unwrap_or(user.is_active);
        if before.superuser && user.is_active && !(after.superuser && active) && others == 0 {
            return Err(Error::LastSuperuser);
        }
        if (after, active) == (before, user.is_active) {
            return Ok(());
        }
        let switched = active != user.is_active;
        let row = user::ActiveModel {
            id: Unchanged(id),
            is_active: Set(active),
            is_teacher: Set(after.teacher),
            is_staff: Set(after.staff),
            is_superuser: Set(after.superuser),
            auth_epoch: Set(user.auth_epoch + i64::from(switched)),
            updated_at: Set(now),
            ..Default::default()
        };
        user::Entity::update(row).exec_without_returning(conn).await?;
        if switched && !active {
            end_sessions(conn, session::COLUMN.user_id.eq(id), "deactivated", now).await?;
            user_token::Entity::delete_many().filter(user_token::COLUMN.user_id.eq(id)).exec(conn).await?;
        }
        let mut event = event.about(id, &user.username);
        if switched {
            event = event.with("is_active", active);
        }
        if after != before {
            let names = |roles: Roles| serde_json::to_value(roles).unwrap_or_default();
            event = event.with("roles_before", names(before)).with("roles", names(after));
        }
        Ok(event.record(conn, now).await?)
    }

    /// Stores a link to choose a new password with; gives what a letter needs of it.
    pub(super) async fn grant_reset(
        &self,
        conn: &impl ConnectionTrait,
        user: &user::Model,
    ) -> Result<one_time::Issued> {
        let grant = Grant {
            purpose: Purpose::ResetPassword,
            user: user.id,
            auth_epoch: user.auth_epoch,
            email: &user.email,
            session: None,
        };
        let (issued, row) = grant.prepare(self.0.clock.now())?;
        one_time::store(conn, row).await?;
        Ok(issued)
    }

    /// Somebody whom the caller may do something to.
    async fn subject(&self, conn: &impl ConnectionTrait, caller: &Caller, id: UserId) -> Result<user::Model> {
        let found = user::Entity::find_by_id(id).one(conn).await?;
        let user = found.filter(|user| user.erased_at.is_none()).ok_or(Error::UserNotFound(id))?;
        may_change(caller, Some(id), roles_of(&user), roles_of(&user))?;
        Ok(user)
    }
}

#[async_trait]
impl Staff for SqlAccounts {
    async fn all_accounts(&self, caller: &Caller, filter: AccountFilter, page: PageQuery) -> Result<Page<Account>> {
        staff_only(caller)?;
        let ordering = Ordering {
            fields: &[
                ("id", user::Column::Id),
                ("username", user::Column::UsernameKey),
                ("email", user::Column::EmailKey),
                ("date_joined", user::Column::CreatedAt),
            ],
            usual: if filter.search.as_ref().is_some_and(|search| search.contains('@')) { "email" } else { "username" },
            id: user::Column::Id,
        };
        let page = Page::<AccountRow>::fetch(matching(&filter)?, &ordering, &page, self.0.db.conn()).await?;
        Ok(page.with(|rows| rows.into_iter().map(Account::from).collect()))
    }

    async fn account(&self, caller: &Caller, id: UserId) -> Result<Account> {
        staff_only(caller)?;
        let present = user::Entity::find().filter(user::COLUMN.erased_at.is_null());
        Ok(people::find::<AccountRow>(self.0.db.conn(), present, id).await?.into())
    }

    async fn create_account(&self, caller: &Caller, new: NewAccount) -> Result<Account> {
        staff_only(caller)?;
        new.validate()?;
        let roles = roles(&new.roles)?;
        may_change(caller, None, Roles::default(), roles)?;
        if verified(&address_key(&new.email)).one(self.0.db.conn()).await?.is_some() {
            return Err(Error::EmailTaken);
        }
        let NewAccount { username, email, first_name, last_name, .. } = new;
        let new = NewUser { username, email, password: String::new(), first_name, last_name };
        let row = user::ActiveModel {
            is_teacher: Set(roles.teacher),
            is_staff: Set(roles.staff),
            is_superuser: Set(roles.superuser),
            ..self.row_of(&new, None)
        };
        let account = self
            .0
            .db
            .write(|tx| {
                let row = row.clone();
                async move {
                    let conn = tx.conn();
                    let event = audit::Event::new("accounts.create_user").by(caller);
                    let user = self.insert_user(conn, row, event).await?;
                    let link = self.grant_reset(conn, &user).await?;
                    let mail = self.0.letters.invitation(reader(&user), &link)?;
                    self.0.outbox.post(conn, Some(user.id), &mail, Purpose::ResetPassword.life()).await?;
                    self.find_account(conn, user.id).await
                }
            })
            .await?;
        self.0.outbox.wake();
        Ok(account)
    }

    async fn change_account(
        &self,
        caller: &Caller,
        id: UserId,
        change: AccountChange,
        known: IfMatch,
    ) -> Result<Account> {
        staff_only(caller)?;
        let wanted = change.roles.as_deref().map(roles).transpose()?;
        let known = &known;
        let account = self
            .0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                // In the order in which every act locks: the superusers, then the one.
                other_superusers(conn, id).await?;
                let user = user::Entity::find_by_id(id).lock_exclusive().one(conn).await?;
                let user = user.ok_or(Error::UserNotFound(id))?;
                known.check(user.updated_at)?;
                let before = roles_of(&user);
                may_change(caller, Some(id), before, wanted.unwrap_or(before))?;
                let change = Change { is_active: change.is_active, roles: wanted };
                let event = audit::Event::new("accounts.change_account").by(caller);
                self.change_standing(conn, id, change, event).await?;
                self.find_account(conn, id).await
            })
            .await?;
        Ok(account)
    }

    async fn sessions_of(&self, caller: &Caller, id: UserId, slice: SliceQuery) -> Result<Slice<Session>> {
        self.account(caller, id).await?;
        self.list_sessions(id, caller.session, slice).await
    }

    async fn end_sessions_of(&self, caller: &Caller, id: UserId) -> Result<()> {
        staff_only(caller)?;
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let user = self.subject(tx.conn(), caller, id).await?;
                let ended = end_sessions(tx.conn(), session::COLUMN.user_id.eq(id), "ended_by_staff", now).await?;
                let event = audit::Event::new("accounts.end_sessions").by(caller).about(id, &user.username);
                Ok(event.with("sessions", ended).record(tx.conn(), now).await?)
            })
            .await
    }

    async fn send_reset(&self, caller: &Caller, id: UserId) -> Result<()> {
        staff_only(caller)?;
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                let user = self.subject(conn, caller, id).await?;
                let link = self.grant_reset(conn, &user).await?;
                let mail = self.0.letters.reset_password(reader(&user), &link)?;
                self.0.outbox.post(conn, Some(id), &mail, Purpose::ResetPassword.life()).await?;
                let event = audit::Event::new("accounts.request_reset").by(caller).about(id, &user.username);
                Ok::<_, Error>(event.record(conn, now).await?)
            })
            .await?;
        self.0.outbox.wake();
        Ok(())
    }

    async fn remove_second_factor(&self, caller: &Caller, id: UserId) -> Result<()> {
        staff_only(caller)?;
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                let user = self.subject(conn, caller, id).await?;
                if totp::Entity::delete_by_id(id).exec(conn).await?.rows_affected == 0 {
                    return Err(Error::NoSecondFactor);
                }
                recovery_code::Entity::delete_many().filter(recovery_code::COLUMN.user_id.eq(id)).exec(conn).await?;
                let event = audit::Event::new("accounts.remove_second_factor").by(caller).about(id, &user.username);
                event.record(conn, now).await?;
                let what = "Whoever runs the service has taken the second factor of your account away.";
                self.notify(conn, &user, "Your second factor was removed", what).await
            })
            .await?;
        self.0.outbox.wake();
        Ok(())
    }
}
