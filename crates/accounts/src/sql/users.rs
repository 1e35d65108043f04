use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    self as kernel, Caller, Directory, IfMatch, Ordering, Page, PageQuery, Person, Roles, UserId, audit, db::Tx,
    mail::address_key, text,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Unchanged},
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PartialModelTrait, QueryFilter, QuerySelect, Select, Set, SqlErr,
};
use uuid::Uuid;

use super::{SqlAccounts, recipient, verified};
use crate::{
    Account, AccountPatch, Accounts, DirectoryEntry, Error, NewUser, PasswordProof, Result, User, UserFilter,
    entity::user,
    event::UserRegistered,
    hasher,
    model::{AccountRow, UserRow},
    names,
    one_time::{self, NewOneTimeToken, Purpose},
    password,
    throttle::RateLimit,
};

/// The memory that the strength estimation of a password takes, in KiB.
const ESTIMATION_KIB: u32 = 1024;

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
            password_hash: Set(password_hash),
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

    /// Validates a new password for a user with this username and email address; returns messages.
    pub(super) async fn weaknesses(
        &self,
        password: &str,
        [username, email]: [String; 2],
        any_password: bool,
    ) -> Result<Vec<String>> {
        if any_password || password::too_long(password).is_some() {
            return Ok(password::too_long(password).into_iter().collect());
        }
        let (password, min_length) = (password.to_owned(), self.0.settings.password_min_length);
        let estimate = move || Ok(password::weaknesses(&password, min_length, &username, &email));
        Ok(self.0.hasher.run(ESTIMATION_KIB, estimate).await?)
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

    /// Enqueues a verification link, unless one was sent recently. If another user has verified the email
    /// address, that user is notified instead.
    pub(super) async fn send_verification(&self, conn: &Tx, user: &user::Model) -> Result<()> {
        let now = self.0.clock.now();
        if !self.0.throttle.allow_email(conn, Purpose::VerifyEmail, &user.email_key, now).await? {
            return Ok(());
        }
        let token = NewOneTimeToken {
            purpose: Purpose::VerifyEmail,
            user: user.id,
            auth_epoch: user.auth_epoch,
            email: &user.email,
            session: None,
        };
        let (link, row) = token.generate(now)?;
        one_time::store(conn, row).await?;
        if let Some(owner) = verified(&user.email_key).one(conn).await? {
            let mail = self.0.emails.email_taken(recipient(&owner))?;
            self.enqueue_alert(conn, &owner, &mail).await?;
        } else {
            let mail = self.0.emails.verify_email(recipient(user), &link)?;
            self.0.outbox.enqueue_email(conn, Some(user.id), &mail, Purpose::VerifyEmail.lifetime()).await?;
        }
        Ok(())
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
        let account = self
            .0
            .db
            .write(|tx| {
                let row = row.clone();
                async move {
                    let event = audit::AuditEvent::new("accounts.register");
                    let user = self.insert_user(&tx, row, event).await?;
                    self.send_verification(&tx, &user).await?;
                    self.find_account(&tx, user.id).await
                }
            })
            .await?;
        Ok(account)
    }

    async fn me(&self, caller: &Caller) -> Result<Account> {
        self.find_account(self.0.db.conn(), caller.user).await
    }

    async fn change_me(&self, caller: &Caller, patch: AccountPatch, if_match: IfMatch) -> Result<Account> {
        patch.validate()?;
        let id = caller.user;
        let (patch, if_match) = (&patch, &if_match);
        self.0
            .db
            .write(|tx| async move {
                // Locked, so that of two concurrent changes to one version the second fails.
                let before: AccountRow = find(&tx, user::Entity::find().lock_exclusive(), id).await?;
                if_match.check(before.updated_at)?;
                let change = |field: &Option<String>| match field {
                    Some(value) => Set(value.trim().to_owned()),
                    None => NotSet,
                };
                let row = user::ActiveModel {
                    id: Unchanged(id),
                    display_name: change(&patch.display_name),
                    first_name: change(&patch.first_name),
                    last_name: change(&patch.last_name),
                    updated_at: Set(self.0.clock.now()),
                    ..Default::default()
                };
                user::Entity::update(row).exec_without_returning(&tx).await?;
                let event = audit::AuditEvent::new("accounts.change_me").by(caller).about(id, "");
                event.record(&tx, self.0.clock.now()).await?;
                self.find_account(&tx, id).await
            })
            .await
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
        Ok(page.with(|rows| rows.into_iter().map(|row| entry(caller, row)).collect()))
    }

    async fn user(&self, caller: &Caller, id: UserId) -> Result<DirectoryEntry> {
        let row = find(self.0.db.conn(), visible_to(caller), id).await?;
        Ok(entry(caller, row))
    }

    async fn delete_me(&self, caller: &Caller, proof: PasswordProof) -> Result<()> {
        proof.validate()?;
        self.forbid_mfa_bypass(caller).await?;
        self.confirm_password(caller, &proof.password, "password").await?;
        self.remove(caller, caller.user, None).await
    }

    async fn export_me(&self, caller: &Caller) -> Result<serde_json::Value> {
        self.export(caller.user).await
    }

    async fn delete_user(&self, caller: &Caller, id: UserId, successor: Option<UserId>) -> Result<()> {
        if !caller.roles.is_staff() {
            return Err(Error::NotStaff);
        }
        self.remove(caller, id, successor).await
    }

    async fn erase_user(&self, caller: &Caller, id: UserId) -> Result<()> {
        if !caller.roles.is_staff() {
            return Err(Error::NotStaff);
        }
        self.erase(caller, id).await
    }
}

impl SqlAccounts {
    /// The roles of a user, for the command line.
    pub async fn roles_of(&self, id: UserId) -> Result<Roles> {
        let user = user::Entity::find_by_id(id).one(self.0.db.conn()).await?.ok_or(Error::UserNotFound(id))?;
        Ok(Roles { teacher: user.is_teacher, staff: user.is_staff, superuser: user.is_superuser })
    }
}

#[async_trait]
impl Directory for SqlAccounts {
    async fn people(&self, ids: &[UserId]) -> kernel::Result<Vec<Person>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = user::Entity::find()
            .filter(user::COLUMN.id.is_in(ids.iter().copied()))
            .filter(user::COLUMN.erased_at.is_null())
            .into_partial_model::<UserRow>()
            .all(self.0.db.conn())
            .await?;
        Ok(rows.into_iter().map(|row| User::from(row).into()).collect())
    }

    async fn named(&self, names: &[String]) -> kernel::Result<Vec<Person>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let rows = user::Entity::find()
            .filter(user::COLUMN.username_key.is_in(names.iter().map(|name| names::key(name))))
            .filter(user::COLUMN.erased_at.is_null())
            .filter(user::COLUMN.is_active.eq(true))
            .into_partial_model::<UserRow>()
            .all(self.0.db.conn())
            .await?;
        Ok(rows.into_iter().map(|row| User::from(row).into()).collect())
    }

    async fn addresses(&self, ids: &[UserId]) -> kernel::Result<Vec<(UserId, String)>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let verified = user::Entity::find()
            .select_only()
            .column(user::Column::Id)
            .column(user::Column::Email)
            .filter(user::COLUMN.id.is_in(ids.iter().copied()))
            .filter(user::COLUMN.email_verified_at.is_not_null())
            .filter(user::COLUMN.erased_at.is_null())
            .filter(user::COLUMN.is_active.eq(true));
        Ok(verified.into_tuple().all(self.0.db.conn()).await?)
    }

    async fn has_address(&self, user: UserId, email: &str) -> kernel::Result<bool> {
        let owner = verified(&address_key(email)).filter(user::COLUMN.id.eq(user));
        Ok(owner.one(self.0.db.conn()).await?.is_some())
    }
}
