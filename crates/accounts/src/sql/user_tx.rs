//! Transactions that change or delete users.

use std::{
    future::Future,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use guildhall_kernel::{
    UserId,
    db::{self, Failure, Tx},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Unchanged, ColumnTrait, DbErr, EntityTrait, Iterable, ModelTrait, QueryFilter,
};

use super::{SqlAccounts, people::KeptPeople};
use crate::entity::user;

/// A transaction that changes or deletes users.
///
/// What others see of a user is kept in memory, and must not be used any more once a change is acknowledged. So this
/// type has the only functions that change a user as a whole or delete one; they collect whom they changed, and
/// [`SqlAccounts::write_users`], which makes the only values of this type, forgets these people before it returns. A
/// test searches the crate for statements that bypass it. Single columns that nobody else sees, such as the password
/// hash and the last sign-in, are updated in any transaction.
pub(super) struct UserTx {
    tx: Tx,
    changed: Arc<Mutex<Vec<UserId>>>,
}

impl Deref for UserTx {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl UserTx {
    /// Updates the columns of a user that differ between two versions.
    pub(super) async fn store_user(&self, before: &user::Model, after: &user::Model) -> Result<(), DbErr> {
        self.mark_changed(before.id);
        db::store_changes(&self.tx, before, after).await
    }

    /// Like [`store_user`](Self::store_user), sent with the next statement: for a user that exists, and columns without
    /// constraints.
    pub(super) async fn store_user_deferred(&self, before: &user::Model, after: &user::Model) -> Result<(), DbErr> {
        self.mark_changed(before.id);
        let mut row = user::ActiveModel { id: Unchanged(before.id), ..Default::default() };
        for column in user::Column::iter() {
            let value = after.get(column);
            if before.get(column) != value {
                row.set(column, value);
            }
        }
        let update = user::Entity::update_many().set(row).filter(user::COLUMN.id.eq(before.id));
        update.exec(&self.tx.deferred()).await.map(|_| ())
    }

    /// Deletes a user.
    pub(super) async fn delete_user(&self, id: UserId) -> Result<(), DbErr> {
        self.mark_changed(id);
        delete(&self.tx, id).await
    }

    fn mark_changed(&self, id: UserId) {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }
}

async fn delete(tx: &Tx, id: UserId) -> Result<(), DbErr> {
    user::Entity::delete_by_id(id).exec(tx).await.map(|_| ())
}

/// Forgets the changed people when it is dropped: also after an error, since the transaction may have committed. If the
/// request is dropped during the commit, nothing is acknowledged, and the maximum age of kept people applies.
struct Forget<'a> {
    people: &'a KeptPeople,
    changed: Arc<Mutex<Vec<UserId>>>,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if !changed.is_empty() {
            self.people.forget(&changed);
        }
    }
}

impl SqlAccounts {
    /// Runs a closure in a transaction like [`Db::write`](guildhall_kernel::Db::write). What it changes of users is
    /// visible to everybody when this returns.
    pub(super) async fn write_users<T, E, F, Fut>(&self, run: F) -> Result<T, E>
    where
        F: Fn(UserTx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Failure,
    {
        let forget = Forget { people: &self.0.people, changed: Arc::default() };
        self.0.db.write(|tx| run(UserTx { tx, changed: forget.changed.clone() })).await
    }

    /// Deletes a user in a transaction of another crate, whose end is not known here. The user is read from the
    /// database from now on.
    pub(super) async fn delete_user_within(&self, tx: &Tx, id: UserId) -> Result<(), DbErr> {
        self.0.people.exclude(id);
        delete(tx, id).await
    }
}
