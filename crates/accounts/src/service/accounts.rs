use async_trait::async_trait;
use axum::body::Bytes;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery, UserId};

use crate::{Account, AccountPatch, DirectoryEntry, NewUser, Result, UserFilter};

/// User accounts and the directory.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Creates an account without roles. Never discloses whether the email address is in use: if it
    /// is, its owner is notified by email.
    async fn register(&self, new: NewUser) -> Result<Account>;
    /// The caller's own account.
    async fn me(&self, caller: &Caller) -> Result<Account>;
    /// Changes the caller's own account.
    async fn change_me(&self, caller: &Caller, patch: AccountPatch, if_match: IfMatch) -> Result<Account>;
    /// Sets the caller's picture. The file type is detected from the content, which is cropped to a square.
    async fn set_picture(&self, caller: &Caller, content: Bytes) -> Result<Account>;
    /// Removes the caller's picture.
    async fn remove_picture(&self, caller: &Caller) -> Result<()>;
    /// Lists active users for any signed-in caller; all users with their details for staff.
    async fn users(&self, caller: &Caller, filter: UserFilter, page: PageQuery) -> Result<Page<DirectoryEntry>>;
    /// One of the users that [`users`](Self::users) lists.
    async fn user(&self, caller: &Caller, id: UserId) -> Result<DirectoryEntry>;
}
