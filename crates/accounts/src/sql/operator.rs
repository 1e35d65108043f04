//! What the operator of a server does at the command line, without being a caller.

use guildhall_kernel::{self as kernel, Ordering, Page, PageQuery, Roles, audit};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};

use super::{SqlAccounts, find_by_name, staff::Change, superusers};
use crate::{
    Account, Error, IssuedUserToken, NewUser, NewUserToken, Result,
    entity::{user, user_token},
    model::{AccountRow, UserRow},
};

/// Who did it, in the log.
const OPERATOR: &str = "operator";

/// What to do about a password that is weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeakPassword {
    /// Refuse it.
    Refuse,
    /// Take it; the operator knows that it can be guessed.
    Accept,
}

impl SqlAccounts {
    /// Makes an account with roles. The operator vouches for the address: it counts as verified.
    pub async fn create_user(&self, new: NewUser, roles: Roles, weak: WeakPassword) -> Result<Account> {
        self.check_new_user(&new, weak == WeakPassword::Accept).await?;
        let mut row = self.row_of(&new, Some(self.0.hasher.hash(&new.password).await?));
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
                    let event = audit::Event::new("accounts.create_user").with("by", OPERATOR);
                    Ok::<_, Error>(self.insert_user(tx.conn(), row, event).await?.id)
                }
            })
            .await?;
        self.find_account(self.0.db.conn(), id).await
    }

    /// Every account, whether it may sign in or not, oldest first.
    pub async fn accounts(&self, page: PageQuery) -> Result<Page<Account>> {
        let ordering = Ordering { fields: &[("id", user::Column::Id)], usual: "id", id: user::Column::Id };
        let page = Page::<AccountRow>::fetch(user::Entity::find(), &ordering, &page, self.0.db.conn()).await?;
        Ok(page.with(|rows| rows.into_iter().map(Account::from).collect()))
    }

    /// Is there a superuser who may sign in?
    pub async fn has_superuser(&self) -> Result<bool> {
        let active = superusers().filter(user::COLUMN.is_active.eq(true));
        Ok(active.into_partial_model::<UserRow>().one(self.0.db.conn()).await?.is_some())
    }

    /// Gives somebody another password; every session and user token of theirs ends.
    pub async fn set_password(&self, name: &str, password: &str, weak: WeakPassword) -> Result<()> {
        let user = self.named(name).await?;
        let own = [user.username.clone(), user.email.clone()];
        let faults = self.weaknesses(password, own, weak == WeakPassword::Accept).await?;
        if !faults.is_empty() {
            let fields = kernel::FieldErrors::from([("password".to_owned(), faults)]);
            return Err(kernel::Error::invalid(fields).into());
        }
        let hash = self.0.hasher.hash(password).await?;
        let (hash, user) = (hash.as_str(), &user);
        self.0
            .db
            .write(|tx| async move {
                self.store_password(tx.conn(), user.id, hash).await?;
                let tokens = user_token::Entity::delete_many().filter(user_token::COLUMN.user_id.eq(user.id));
                tokens.exec(tx.conn()).await?;
                let event = audit::Event::new("accounts.change_password").about(user.id, &user.username);
                event.with("by", OPERATOR).record(tx.conn(), self.0.clock.now()).await?;
                let what = "Whoever runs the service has given your account another password.";
                self.notify(tx.conn(), user, "Your password was changed", what).await
            })
            .await
    }

    /// Lets somebody sign in again, or not any more. When they no longer may, every session and user
    /// token of theirs is over for good. The last superuser stays.
    pub async fn set_active(&self, name: &str, active: bool) -> Result<()> {
        let id = self.named(name).await?.id;
        let event = || audit::Event::new("accounts.change_account").with("by", OPERATOR);
        self.0
            .db
            .write(|tx| async move {
                let change = Change { is_active: Some(active), roles: None };
                self.change_standing(tx.conn(), id, change, event()).await?;
                Ok(())
            })
            .await
    }

    /// Makes a user token for somebody.
    pub async fn create_token_for(&self, name: &str, new: NewUserToken) -> Result<IssuedUserToken> {
        let user = self.named(name).await?;
        self.issue_user_token(user.id, None, new).await
    }

    async fn named(&self, name: &str) -> Result<user::Model> {
        let found = find_by_name(self.0.db.conn(), name).await?;
        found.ok_or_else(|| Error::NoSuchName(name.to_owned()))
    }
}
