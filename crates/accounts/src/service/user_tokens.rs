use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery};

use crate::{IssuedToken, IssuedUserToken, NewUserToken, Result, SignIn, UserToken, UserTokenId};

/// User tokens, for programs.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait UserTokens: Send + Sync + 'static {
    /// Issues a user token for a username and password.
    async fn exchange_for_user_token(&self, sign_in: SignIn) -> Result<IssuedToken>;
    /// Creates a named user token. Above the maximum number, the oldest is deleted.
    async fn create_user_token(&self, caller: &Caller, new: NewUserToken) -> Result<IssuedUserToken>;
    /// The caller's user tokens, newest first.
    async fn user_tokens(&self, caller: &Caller, query: CursorQuery) -> Result<CursorPage<UserToken>>;
    /// Revokes one of the caller's user tokens.
    async fn revoke_user_token(&self, caller: &Caller, id: UserTokenId) -> Result<()>;
}
