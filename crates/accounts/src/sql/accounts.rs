use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    self as kernel, Caller, IfMatch, Ordering, Page, PageQuery, UserId, audit, db::Tx, mail::address_key, text,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PartialModelTrait,
    QueryFilter, QuerySelect, Select, Set, SqlErr,
};
use uuid::Uuid;

use super::SqlAccounts;
use crate::{
    Account, AccountPatch, Accounts, DirectoryEntry, Error, NewUser, Result, UserFilter, entity::user,
    event::UserRegistered, hasher, model::AccountRow, names, throttle::RateLimit,
};

/// The users that the caller can see: active ones, or all of them for staff.
pub(super) fn visible_to(caller: &Caller) -> Select<user::Entity> {
    let users = user::Entity::find().filter(user::COLUMN.erased_at.is_null());
    if caller.roles.is_staff() { users } else { users.filter(user::COLUMN.is_active.eq(true)) }
}

/// The directory entry of a user as visible to the caller.
fn entry(caller: &Caller, row: AccountRow) -> DirectoryEntry {
    let Account { user, details, .. } = row.into();
    DirectoryEntry { user, details: caller.roles.is_staff().then_some(details) }
}

pub(super) async fn find<T: PartialModelTrait>(
    conn: &impl ConnectionTrait,
    select: Select<user::Entity>,
    id: UserId,
) -> Result<T> {
    let found = select.filter(user::COLUMN.id.eq(id)).into_partial_model().one(conn).await?;
    found.ok_or(Error::UserNotFound(id))
}

impl SqlAccounts {
    /// Validates a new account, including the strength of its password unless `any_password` is set.
    pub(super) async fn check_new_user(&self, new: &NewUser, any_password: bool) -> Result<()> {
        let mut errors = match new.validate() {
            Ok(()) => kernel::FieldErrors::new(),
            Err(report) => kernel::Error::from(report).fields().clone(),
        };
        // The password is only compared with a valid username and email address.
        let valid =
            |field: &str, value: &str| if errors.contains_key(field) { String::new() } else { value.to_owned() };
        let identifiers = [valid("username", &new.username), valid("email", &new.email)];
        let messages = self.weaknesses(&new.password, identifiers, any_password).await?;
        if !messages.is_empty() {
            errors.insert("password".to_owned(), messages);
        }
        if errors.is_empty() { Ok(()) } else { Err(kernel::Error::invalid(errors).into()) }
    }

    /// The row of a new account without roles.
    pub(super) fn new_row(&self, new: &NewUser, password_hash: Option<String>) -> user::ActiveModel {
        let now = self.0.clock.now();
        let username = names::normalize(&new.username);
        user::ActiveModel {
            id: NotSet,
            public_id: Set(Uuid::now_v7()),
            username_key: Set(names::key(&username)),
            username: Set(username),
            display_name: Set(String::new()),
            first_name: Set(new.first_name.trim().to_owned()),
            last_name: Set(new.last_name.trim().to_owned()),
            email_key: Set(address_key(&new.email)),
            email: Set(new.email.clone()),
            email_verified_at: Set(None),
            password_hash: Set(password_hash.map(user::PasswordHash)),
            is_active: Set(true),
            is_teacher: Set(false),
            is_staff: Set(false),
            is_superuser: Set(false),
            auth_epoch: Set(0),
            last_login: Set(None),
            created_at: Set(now),
            updated_at: Set(now),
            erased_at: Set(None),
        }
    }

    /// Stores a new account and records the event in the audit log.
    pub(super) async fn insert_user(
        &self,
        tx: &Tx,
        row: user::ActiveModel,
        event: audit::AuditEvent,
    ) -> Result<user::Model> {
        let user = row.insert(tx).await.map_err(unique_violation)?;
        event.about(user.id, &user.username).record(tx, self.0.clock.now()).await?;
        tx.emit(&UserRegistered { user: user.id }).await?;
        Ok(user)
    }
}

/// Maps a violated unique constraint on the user table to its error.
pub(super) fn unique_violation(error: DbErr) -> Error {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(detail)) if detail.contains("username") => Error::UsernameTaken,
        Some(SqlErr::UniqueConstraintViolation(detail)) if detail.contains("email") => Error::EmailTaken,
        _ => Error::Database(error),
    }
}

#[async_trait]
impl Accounts for SqlAccounts {
    async fn register(&self, new: NewUser) -> Result<Account> {
        let permit = self.0.registrations.enter(None).await.map_err(|_| hasher::busy())?;
        self.check_new_user(&new, false).await?;
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move { self.0.throttle.check_rate(&tx, RateLimit::Registration, now).await })
            .await?;
        let row = self.new_row(&new, Some(self.0.hasher.hash(&new.password).await?));
        drop(permit);
        let user = self
            .0
            .db
            .write(|tx| {
                let row = row.clone();
                async move {
                    let event = audit::AuditEvent::new("accounts.register");
                    let user = self.insert_user(&tx, row, event).await?;
                    self.send_verification(&tx, &user).await?;
                    Ok::<_, Error>(user)
                }
            })
            .await?;
        Ok(user.into())
    }

    async fn me(&self, caller: &Caller) -> Result<Account> {
        self.find_account(self.0.db.conn(), caller.user).await
    }

    async fn change_me(&self, caller: &Caller, patch: AccountPatch, if_match: IfMatch) -> Result<Account> {
        patch.validate()?;
        let (id, now) = (caller.user, self.0.clock.now());
        let (patch, if_match) = (&patch, &if_match);
        let changed = self.write_users(|tx| async move {
            // Locked, so that of two concurrent changes to one version the second fails.
            let before = user::Entity::find_by_id(id).lock_exclusive().one(&*tx).await?;
            let before = before.ok_or(Error::UserNotFound(id))?;
            if_match.check(before.updated_at)?;
            let mut after = user::Model { updated_at: now, ..before.clone() };
            if let Some(name) = &patch.display_name {
                name.trim().clone_into(&mut after.display_name);
            }
            if let Some(name) = &patch.first_name {
                name.trim().clone_into(&mut after.first_name);
            }
            if let Some(name) = &patch.last_name {
                name.trim().clone_into(&mut after.last_name);
            }
            tx.store_user_deferred(&before, &after).await?;
            audit::AuditEvent::new("accounts.change_me").by(caller).about(id, "").record(&tx, now).await?;
            Ok::<_, Error>(after)
        });
        Ok(changed.await?.into())
    }

    async fn users(&self, caller: &Caller, filter: UserFilter, page: PageQuery) -> Result<Page<DirectoryEntry>> {
        let mut select = visible_to(caller);
        if let Some(search) = filter.search.filter(|search| !search.is_empty()) {
            let prefix = names::key(&search);
            let end = text::after_prefix(&prefix);
            select = select.filter(user::COLUMN.username_key.between(prefix, end));
        }
        let ordering = Ordering {
            fields: &[
                ("id", user::Column::Id),
                ("username", user::Column::UsernameKey),
                ("date_joined", user::Column::CreatedAt),
            ],
            default: "username",
            id: user::Column::Id,
        };
        let page = Page::<AccountRow>::fetch(select, &ordering, &page, self.0.db.conn()).await?;
        Ok(page.with_results(|rows| rows.into_iter().map(|row| entry(caller, row)).collect()))
    }

    async fn user(&self, caller: &Caller, id: UserId) -> Result<DirectoryEntry> {
        let row = find(self.0.db.conn(), visible_to(caller), id).await?;
        Ok(entry(caller, row))
    }
}
