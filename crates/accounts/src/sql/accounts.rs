use async_trait::async_trait;
use axum::body::Bytes;
use garde::Validate;
use guildhall_files as files;
use guildhall_kernel::{
    self as kernel, Caller, IfMatch, Ordering, Page, PageQuery, PageTemplate, UserId, audit,
    db::{self, QueryTemplate, Tx},
    mail::address_key,
    text,
};
use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PartialModelTrait, QueryFilter, QuerySelect,
    QueryTrait, Select, Set, SqlErr, sea_query::SelectStatement,
};
use uuid::Uuid;

use super::SqlAccounts;
use crate::{
    Account, AccountPatch, Accounts, DirectoryEntry, Error, NewUser, Result, UserFilter,
    entity::{user, user_count},
    event::UserRegistered,
    hasher,
    model::{AccountRow, PICTURE},
    names,
    throttle::RateLimit,
};

/// The users that a caller can see: active ones, or all of them for staff.
pub(super) fn visible_to(is_staff: bool) -> Select<user::Entity> {
    let users = user::Entity::find().filter(user::COLUMN.erased_at.is_null());
    if is_staff { users } else { users.filter(user::COLUMN.is_active.eq(true)) }
}

const ORDERING: Ordering<'static, user::Column> = Ordering {
    fields: &[
        ("id", user::Column::Id),
        ("username", user::Column::UsernameKey),
        ("date_joined", user::Column::CreatedAt),
    ],
    default: "username",
    id: user::Column::Id,
};

/// The directory without filters.
static ALL_USERS: PageTemplate<bool, AccountRow, user::Entity> =
    PageTemplate::new(ORDERING, |is_staff, _| visible_to(*is_staff))
        .with_stored_count_on_sqlite(|is_staff, _| (!is_staff).then(active_users));

/// The number of active users; on SQLite only.
fn active_users() -> SelectStatement {
    user_count::Entity::find().select_only().column(user_count::Column::Active).into_query()
}

static VISIBLE_USER: QueryTemplate<bool> = QueryTemplate::new(visible_user);

fn visible_user(is_staff: &bool, ids: &[i64]) -> SelectStatement {
    let [id] = *ids else { return SelectStatement::new() };
    let user = visible_to(*is_staff).filter(user::COLUMN.id.eq(UserId(id)));
    AccountRow::select_cols(user.select_only()).into_query()
}

/// A user that the caller can see.
pub(super) async fn find_visible(conn: &impl ConnectionTrait, caller: &Caller, id: UserId) -> Result<AccountRow> {
    let found = VISIBLE_USER.row(conn, &caller.roles.is_staff(), &[id.0]).await?;
    found.ok_or(Error::UserNotFound(id))
}

impl SqlAccounts {
    /// The directory entry of a user as visible to the caller.
    fn entry(&self, caller: &Caller, row: AccountRow) -> DirectoryEntry {
        let Account { user, details, .. } = self.to_account(row);
        DirectoryEntry { user, details: caller.roles.is_staff().then_some(details) }
    }

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
            picture_id: Set(None),
        }
    }

    /// Stores a new account and records the event in the audit log.
    pub(super) async fn insert_user(
        &self,
        tx: &Tx,
        row: user::ActiveModel,
        event: audit::AuditEvent,
    ) -> Result<user::Model> {
        let user = db::insert(tx, row).await.map_err(unique_violation)?;
        event.about(user.id, &user.username).record(tx, self.0.clock.now()).await?;
        tx.emit(&UserRegistered { user: user.id }).await?;
        Ok(user)
    }
}

/// Loads and locks a user who has not been erased.
pub(super) async fn locked(conn: &Tx, id: UserId) -> Result<user::Model> {
    let found = user::Entity::find_by_id(id).lock_exclusive().one(conn).await?;
    found.filter(|user| user.erased_at.is_none()).ok_or(Error::UserNotFound(id))
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
        Ok(self.to_account(user))
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
        Ok(self.to_account(changed.await?))
    }

    async fn set_picture(&self, caller: &Caller, content: Bytes) -> Result<Account> {
        let content = files::pictures(caller.user, "image", content, &[PICTURE]).await?;
        let stored = &self.0.files.store(caller.user, content).await?;
        let changed = self.write_users(|tx| async move {
            let before = locked(&tx, caller.user).await?;
            let file = self.0.files.attach(&*tx, stored).await?;
            let event = audit::AuditEvent::new("accounts.set_picture").by(caller);
            self.store_picture(&tx, &before, Some(file), event).await
        });
        Ok(self.to_account(changed.await?))
    }

    async fn remove_picture(&self, caller: &Caller) -> Result<()> {
        self.write_users(|tx| async move {
            let before = locked(&tx, caller.user).await?;
            let event = audit::AuditEvent::new("accounts.remove_picture").by(caller);
            self.store_picture(&tx, &before, None, event).await.map(|_| ())
        })
        .await
    }

    async fn users(&self, caller: &Caller, filter: UserFilter, page: PageQuery) -> Result<Page<DirectoryEntry>> {
        let (conn, is_staff) = (self.0.db.conn(), caller.roles.is_staff());
        let page = match filter.search.filter(|search| !search.is_empty()) {
            None => Page::fetch_template(&ALL_USERS, (&is_staff, &[]), &page, conn).await?,
            Some(search) => {
                let prefix = names::key(&search);
                let end = text::after_prefix(&prefix);
                let found = visible_to(is_staff).filter(user::COLUMN.username_key.between(prefix, end));
                Page::fetch(found, &ORDERING, &page, conn).await?
            }
        };
        Ok(page.with_results(|rows| rows.into_iter().map(|row| self.entry(caller, row)).collect()))
    }

    async fn user(&self, caller: &Caller, id: UserId) -> Result<DirectoryEntry> {
        Ok(self.entry(caller, find_visible(self.0.db.conn(), caller, id).await?))
    }
}
