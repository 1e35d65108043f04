use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    self as kernel, Caller, CursorPage, CursorQuery, IfMatch, Ordering, Page, PageQuery, Roles, SessionId, UserId,
    audit, db::Tx, mail::address_key, text,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select, Set,
    sea_query::{Expr, ExprTrait},
};

use super::{
    SqlAccounts, accounts, other_superusers, recipient, second_factors::delete_recovery_codes, sessions::end_sessions,
    user_tx::UserTx, verified,
};
use crate::{
    Account, AccountChange, AccountFilter, Error, NewAccount, NewUser, Result, Session, Staff, UserTokenId,
    entity::{session, totp, user, user_token},
    event::{RolesChanged, SessionsEnded, UserDeactivated},
    model::{AccountRow, SessionRow, roles},
    names,
    one_time::Purpose,
};

/// A change to the status and roles of a user.
#[derive(Clone, Copy)]
pub(super) struct StatusChange {
    pub(super) is_active: Option<bool>,
    pub(super) roles: Option<Roles>,
}

/// Only a superuser can grant or revoke `staff` and `superuser`, or manage other users who have them.
fn check_can_manage(caller: &Caller, user: Option<UserId>, before: Roles, after: Roles) -> Result<()> {
    let changes_privileges = (before.staff, before.superuser) != (after.staff, after.superuser);
    let is_privileged = before.is_staff() && user != Some(caller.user);
    if (changes_privileges || is_privileged) && !caller.roles.superuser { Err(Error::NotSuperuser) } else { Ok(()) }
}

pub(super) fn require_staff(caller: &Caller) -> Result<()> {
    if caller.roles.is_staff() { Ok(()) } else { Err(Error::NotStaff) }
}

/// The accounts that match a filter. Conditions on roles and status have no bound values, so that partial indexes
/// apply.
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
    /// Changes the status and roles of a user and records it in the audit log. Deactivation permanently ends
    /// all sessions and revokes all user tokens. The last superuser cannot be demoted or deactivated.
    pub(super) async fn apply_change(
        &self,
        tx: &UserTx,
        id: UserId,
        change: StatusChange,
        event: audit::AuditEvent,
    ) -> Result<()> {
        let now = self.0.clock.now();
        let conn: &Tx = tx;
        let others = other_superusers(conn, id).await?;
        let user = user::Entity::find_by_id(id).lock_exclusive().one(conn).await?;
        let user = user.filter(|user| user.erased_at.is_none()).ok_or(Error::UserNotFound(id))?;
        let before = user.roles();
        let after = change.roles.unwrap_or(before);
        let active = change.is_active.unwrap_or(user.is_active);
        if before.superuser && user.is_active && !(after.superuser && active) && others == 0 {
            return Err(Error::LastSuperuser);
        }
        if (after, active) == (before, user.is_active) {
            return Ok(());
        }
        let status_changed = active != user.is_active;
        let changed = user::Model {
            is_active: active,
            is_teacher: after.teacher,
            is_staff: after.staff,
            is_superuser: after.superuser,
            auth_epoch: user.auth_epoch + i64::from(status_changed),
            updated_at: now,
            ..user.clone()
        };
        tx.store_user(&user, &changed).await?;
        if status_changed && !active {
            tx.emit(&UserDeactivated { user: id }).await?;
            let deferred = &tx.deferred();
            end_sessions(deferred, session::COLUMN.user_id.eq(id), "deactivated", now).await?;
            user_token::Entity::delete_many().filter(user_token::COLUMN.user_id.eq(id)).exec(deferred).await?;
        }
        let mut event = event.about(id, &user.username);
        if status_changed {
            event = event.with("is_active", active);
        }
        if after != before {
            tx.emit(&RolesChanged { user: id }).await?;
            let json = |roles: Roles| serde_json::to_value(roles).unwrap_or_default();
            event = event.with("roles_before", json(before)).with("roles", json(after));
        }
        Ok(event.record(conn, now).await?)
    }

    /// Loads a user whom the caller can manage.
    async fn find_manageable(&self, conn: &impl ConnectionTrait, caller: &Caller, id: UserId) -> Result<user::Model> {
        let found = user::Entity::find_by_id(id).one(conn).await?;
        let user = found.filter(|user| user.erased_at.is_none()).ok_or(Error::UserNotFound(id))?;
        check_can_manage(caller, Some(id), user.roles(), user.roles())?;
        Ok(user)
    }
}

#[async_trait]
impl Staff for SqlAccounts {
    async fn all_accounts(&self, caller: &Caller, filter: AccountFilter, page: PageQuery) -> Result<Page<Account>> {
        require_staff(caller)?;
        let ordering = Ordering {
            fields: &[
                ("id", user::Column::Id),
                ("username", user::Column::UsernameKey),
                ("email", user::Column::EmailKey),
                ("date_joined", user::Column::CreatedAt),
            ],
            default: if filter.search.as_ref().is_some_and(|search| search.contains('@')) {
                "email"
            } else {
                "username"
            },
            id: user::Column::Id,
        };
        let page = Page::<AccountRow>::fetch(matching(&filter)?, &ordering, &page, self.0.db.conn()).await?;
        Ok(page.with_results(|rows| rows.into_iter().map(|row| self.to_account(row)).collect()))
    }

    async fn account(&self, caller: &Caller, id: UserId) -> Result<Account> {
        require_staff(caller)?;
        Ok(self.to_account(accounts::find_visible(self.0.db.conn(), caller, id).await?))
    }

    async fn create_account(&self, caller: &Caller, new: NewAccount) -> Result<Account> {
        require_staff(caller)?;
        new.validate()?;
        let roles = roles(&new.roles)?;
        check_can_manage(caller, None, Roles::default(), roles)?;
        if verified(&address_key(&new.email)).one(self.0.db.conn()).await?.is_some() {
            return Err(Error::EmailTaken);
        }
        let NewAccount { username, email, first_name, last_name, .. } = new;
        let new = NewUser { username, email, password: String::new(), first_name, last_name };
        let row = user::ActiveModel {
            is_teacher: Set(roles.teacher),
            is_staff: Set(roles.staff),
            is_superuser: Set(roles.superuser),
            ..self.new_row(&new, None)
        };
        let user = self
            .0
            .db
            .write(|tx| {
                let row = row.clone();
                async move {
                    let conn = &tx;
                    let event = audit::AuditEvent::new("accounts.create_user").by(caller);
                    let user = self.insert_user(conn, row, event).await?;
                    let link = self.issue_reset_token(conn, &user).await?;
                    let mail = self.0.emails.invitation(recipient(&user), &link)?;
                    self.0.outbox.enqueue_email(conn, Some(user.id), &mail, Purpose::ResetPassword.lifetime()).await?;
                    Ok::<_, Error>(user)
                }
            })
            .await?;
        Ok(self.to_account(user))
    }

    async fn change_account(
        &self,
        caller: &Caller,
        id: UserId,
        change: AccountChange,
        if_match: IfMatch,
    ) -> Result<Account> {
        require_staff(caller)?;
        let new_roles = change.roles.as_deref().map(roles).transpose()?;
        let if_match = &if_match;
        let account = self
            .write_users(|tx| async move {
                let conn: &Tx = &tx;
                // Every operation locks the superusers first, then the user, so that they cannot deadlock.
                other_superusers(conn, id).await?;
                let user = user::Entity::find_by_id(id).lock_exclusive().one(conn).await?;
                let user = user.ok_or(Error::UserNotFound(id))?;
                if_match.check(user.updated_at)?;
                let before = user.roles();
                check_can_manage(caller, Some(id), before, new_roles.unwrap_or(before))?;
                let change = StatusChange { is_active: change.is_active, roles: new_roles };
                let event = audit::AuditEvent::new("accounts.change_account").by(caller);
                self.apply_change(&tx, id, change, event).await?;
                self.find_account(conn, id).await
            })
            .await?;
        Ok(account)
    }

    async fn sessions_of(&self, caller: &Caller, id: UserId, query: CursorQuery) -> Result<CursorPage<Session>> {
        self.account(caller, id).await?;
        let rows = CursorPage::fetch(self.live_sessions(id), session::Column::Id, &query, self.0.db.conn()).await?;
        Ok(rows.map(|row: SessionRow| row.into_session(caller.session)))
    }

    async fn end_sessions_of(&self, caller: &Caller, id: UserId) -> Result<()> {
        require_staff(caller)?;
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let user = self.find_manageable(&tx, caller, id).await?;
                let ended = end_sessions(&tx, session::COLUMN.user_id.eq(id), "ended_by_staff", now).await?;
                tx.emit(&SessionsEnded { user: id }).await?;
                let event = audit::AuditEvent::new("accounts.end_sessions").by(caller).about(id, &user.username);
                Ok(event.with("sessions", ended).record(&tx, now).await?)
            })
            .await
    }

    async fn end_session_of(&self, caller: &Caller, id: UserId, session: SessionId) -> Result<()> {
        require_staff(caller)?;
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let user = self.find_manageable(&tx, caller, id).await?;
                let its = session::COLUMN.id.eq(session).and(session::COLUMN.user_id.eq(id));
                if end_sessions(&tx, its, "ended_by_staff", now).await? == 0 {
                    return Err(Error::SessionNotFound(session));
                }
                tx.emit(&SessionsEnded { user: id }).await?;
                let event = audit::AuditEvent::new("accounts.end_session").by(caller).about(id, &user.username);
                Ok(event.with("session", session.0).record(&tx, now).await?)
            })
            .await
    }

    async fn revoke_user_token_of(&self, caller: &Caller, id: UserId, token: UserTokenId) -> Result<()> {
        require_staff(caller)?;
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let user = self.find_manageable(&tx, caller, id).await?;
                let its = user_token::COLUMN.user_id.eq(id);
                let deleted = user_token::Entity::delete_by_id(token).filter(its).exec(&tx).await?;
                if deleted.rows_affected == 0 {
                    return Err(Error::UserTokenNotFound(token));
                }
                tx.emit(&SessionsEnded { user: id }).await?;
                let event = audit::AuditEvent::new("accounts.revoke_user_token").by(caller).about(id, &user.username);
                Ok(event.with("token", token.0).record(&tx, now).await?)
            })
            .await
    }

    async fn send_reset(&self, caller: &Caller, id: UserId) -> Result<()> {
        require_staff(caller)?;
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let conn = &tx;
                let user = self.find_manageable(conn, caller, id).await?;
                if !user.is_active {
                    return Ok(());
                }
                if let Some(wait) =
                    self.0.throttle.count_email(conn, Purpose::ResetPassword, &user.email_key, now).await?
                {
                    return Err(Error::Throttled(wait));
                }
                let link = self.issue_reset_token(conn, &user).await?;
                let mail = self.0.emails.reset_password(recipient(&user), &link)?;
                self.0.outbox.enqueue_email(conn, Some(id), &mail, Purpose::ResetPassword.lifetime()).await?;
                let event = audit::AuditEvent::new("accounts.request_reset").by(caller).about(id, &user.username);
                Ok::<_, Error>(event.record(conn, now).await?)
            })
            .await?;
        Ok(())
    }

    async fn remove_picture_of(&self, caller: &Caller, id: UserId) -> Result<()> {
        require_staff(caller)?;
        self.write_users(|tx| async move {
            other_superusers(&*tx, id).await?;
            let user = accounts::locked(&tx, id).await?;
            check_can_manage(caller, Some(id), user.roles(), user.roles())?;
            let event = audit::AuditEvent::new("accounts.remove_picture").by(caller);
            self.store_picture(&tx, &user, None, event).await.map(|_| ())
        })
        .await
    }

    async fn remove_second_factor(&self, caller: &Caller, id: UserId) -> Result<()> {
        require_staff(caller)?;
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let conn = &tx;
                let user = self.find_manageable(conn, caller, id).await?;
                if totp::Entity::delete_by_id(id).exec(conn).await?.rows_affected == 0 {
                    return Err(Error::NoSecondFactor);
                }
                delete_recovery_codes(conn, id).await?;
                let event =
                    audit::AuditEvent::new("accounts.remove_second_factor").by(caller).about(id, &user.username);
                event.record(conn, now).await?;
                let message = "The staff of the service removed the second factor from your account.";
                self.notify(conn, &user, "Your second factor was removed", message).await
            })
            .await?;
        Ok(())
    }
}
