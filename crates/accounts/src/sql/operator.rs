//! Operations for the command line, which has no caller.

use guildhall_kernel::{self as kernel, Ordering, Page, PageQuery, Roles, UserId, audit};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};

use super::{SqlAccounts, find_by_login, staff::StatusChange};
use crate::{
    Account, Error, FirstStart, IssuedUserToken, NewUser, NewUserToken, Result,
    entity::{user, user_token},
    event::PasswordChanged,
    model::AccountRow,
};

/// The actor in the audit log.
const OPERATOR: &str = "operator";

/// Whether to accept a weak password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeakPassword {
    /// Reject it.
    Reject,
    /// Accept it, although it can be guessed.
    Accept,
}

impl SqlAccounts {
    /// Creates an account with roles. The email address counts as verified.
    pub async fn create_user(&self, new: NewUser, roles: Roles, weak: WeakPassword) -> Result<Account> {
        self.check_new_user(&new, weak == WeakPassword::Accept).await?;
        let mut row = self.new_row(&new, Some(self.0.hasher.hash(&new.password).await?));
        row.email_verified_at = Set(Some(self.0.clock.now()));
        row.is_teacher = Set(roles.teacher);
        row.is_staff = Set(roles.staff);
        row.is_superuser = Set(roles.superuser);
        let id = self
            .0
            .db
            .write(|tx| {
                let row = row.clone();
                async move {
                    let event = audit::AuditEvent::new("accounts.create_user").with("by", OPERATOR);
                    Ok::<_, Error>(self.insert_user(&tx, row, event).await?.id)
                }
            })
            .await?;
        self.find_account(self.0.db.conn(), id).await
    }

    /// Lists all accounts, including deactivated ones, oldest first.
    pub async fn accounts(&self, page: PageQuery) -> Result<Page<Account>> {
        let ordering = Ordering { fields: &[("id", user::Column::Id)], default: "id", id: user::Column::Id };
        let page = Page::<AccountRow>::fetch(user::Entity::find(), &ordering, &page, self.0.db.conn()).await?;
        Ok(page.with_results(|rows| rows.into_iter().map(|row| self.to_account(row)).collect()))
    }

    /// The roles of a user.
    pub async fn roles_of(&self, id: UserId) -> Result<Roles> {
        let user = user::Entity::find_by_id(id).one(self.0.db.conn()).await?.ok_or(Error::UserNotFound(id))?;
        Ok(user.roles())
    }

    /// Whether there is an active superuser.
    pub async fn has_superuser(&self) -> Result<bool> {
        Ok(!self.needs_superuser().await?)
    }

    /// Sets a user's password. Ends all of their sessions and revokes their user tokens.
    pub async fn set_password(&self, name: &str, password: &str, weak: WeakPassword) -> Result<()> {
        let user = self.find_user(name).await?;
        let identifiers = [user.username.clone(), user.email.clone()];
        let messages = self.weaknesses(password, identifiers, weak == WeakPassword::Accept).await?;
        if !messages.is_empty() {
            let fields = kernel::FieldErrors::from([("password".to_owned(), messages)]);
            return Err(kernel::Error::invalid(fields).into());
        }
        let hash = self.0.hasher.hash(password).await?;
        let (hash, user) = (hash.as_str(), &user);
        self.0
            .db
            .write(|tx| async move {
                self.store_password(&tx, user.id, hash).await?;
                tx.emit(&PasswordChanged { user: user.id }).await?;
                let tokens = user_token::Entity::delete_many().filter(user_token::COLUMN.user_id.eq(user.id));
                tokens.exec(&tx.deferred()).await?;
                let event = audit::AuditEvent::new("accounts.change_password").about(user.id, &user.username);
                event.with("by", OPERATOR).record(&tx, self.0.clock.now()).await?;
                let message = "The operator of the service set a new password for your account.";
                self.notify(&tx, user, "Your password was changed", message).await
            })
            .await
    }

    /// Activates or deactivates a user. Deactivation permanently ends all of their sessions and revokes
    /// their user tokens. The last superuser cannot be deactivated.
    pub async fn set_active(&self, name: &str, active: bool) -> Result<()> {
        let id = self.find_user(name).await?.id;
        let event = || audit::AuditEvent::new("accounts.change_account").with("by", OPERATOR);
        self.write_users(|tx| async move {
            let change = StatusChange { is_active: Some(active), roles: None };
            self.apply_change(&tx, id, change, event()).await?;
            Ok(())
        })
        .await
    }

    /// Creates a user token for a user.
    pub async fn create_token_for(&self, name: &str, new: NewUserToken) -> Result<IssuedUserToken> {
        let user = self.find_user(name).await?;
        self.issue_user_token(user.id, None, None, new).await
    }

    async fn find_user(&self, name: &str) -> Result<user::Model> {
        let user = find_by_login(self.0.db.conn(), name).await?;
        user.ok_or_else(|| Error::UsernameNotFound(name.to_owned()))
    }
}
