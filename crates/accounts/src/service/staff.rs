use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, IfMatch, Page, PageQuery, SessionId, UserId};

use crate::{Account, AccountChange, AccountFilter, NewAccount, Result, Session, UserTokenId};

/// Account administration by staff. Staff never see or set a password.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Staff: Send + Sync + 'static {
    /// Lists all accounts.
    async fn all_accounts(&self, caller: &Caller, filter: AccountFilter, page: PageQuery) -> Result<Page<Account>>;
    /// One account.
    async fn account(&self, caller: &Caller, id: UserId) -> Result<Account>;
    /// Creates an account and sends its owner a link to choose a password.
    async fn create_account(&self, caller: &Caller, new: NewAccount) -> Result<Account>;
    /// Changes whether an account is active, and its roles. Only a superuser grants or revokes `staff`
    /// and `superuser`; the last superuser cannot be demoted.
    async fn change_account(
        &self,
        caller: &Caller,
        id: UserId,
        change: AccountChange,
        if_match: IfMatch,
    ) -> Result<Account>;
    /// A user's sessions, newest first.
    async fn sessions_of(&self, caller: &Caller, id: UserId, query: CursorQuery) -> Result<CursorPage<Session>>;
    /// Ends all sessions of a user.
    async fn end_sessions_of(&self, caller: &Caller, id: UserId) -> Result<()>;
    /// Ends one session of a user.
    async fn end_session_of(&self, caller: &Caller, id: UserId, session: SessionId) -> Result<()>;
    /// Revokes a user token of a user.
    async fn revoke_user_token_of(&self, caller: &Caller, id: UserId, token: UserTokenId) -> Result<()>;
    /// Sends a user a password reset link, unless their email address has just received one; does nothing if the
    /// account is deactivated.
    async fn send_reset(&self, caller: &Caller, id: UserId) -> Result<()>;
    /// Removes the picture of a user.
    async fn remove_picture_of(&self, caller: &Caller, id: UserId) -> Result<()>;
    /// Removes the second factor and the recovery codes of a user who has lost it.
    async fn remove_second_factor(&self, caller: &Caller, id: UserId) -> Result<()>;
}
