use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery, Slice, SliceQuery, UserId};

use crate::{
    Account, AccountPatch, Device, DirectoryEntry, IssuedToken, IssuedUserToken, Jwks, NewUser, NewUserToken, Result,
    SignIn, SignedIn, TokenPair, UserFilter, UserToken, UserTokenId,
};

/// People: who they are.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Makes an account without any role. Whether the address is known is never told.
    async fn register(&self, new: NewUser) -> Result<Account>;
    /// The caller's own account.
    async fn me(&self, caller: &Caller) -> Result<Account>;
    /// Changes the caller's own account.
    async fn change_me(&self, caller: &Caller, patch: AccountPatch, known: IfMatch) -> Result<Account>;
    /// The people who may sign in, for anybody who is signed in; everybody and their details for staff.
    async fn users(&self, caller: &Caller, filter: UserFilter, page: PageQuery) -> Result<Page<DirectoryEntry>>;
    /// One of the people that [`users`](Self::users) lists.
    async fn user(&self, caller: &Caller, id: UserId) -> Result<DirectoryEntry>;
    /// Removes a person, for staff; whatever belongs to them goes as its foreign key says.
    async fn delete_user(&self, caller: &Caller, id: UserId) -> Result<()>;
}

/// Tokens: how people show who they are.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Tokens: Send + Sync + 'static {
    /// Opens a session. Says the same, and takes as long, for a wrong password as for nobody.
    async fn sign_in(&self, sign_in: SignIn, device: Device) -> Result<SignedIn>;
    /// Exchanges a refresh token for its successor.
    ///
    /// The same token again gives the same successor, for a while after its use (parallel tabs) and
    /// for as long as that successor has not been used (a lost answer); any other second use ends
    /// the session, since one of the two users is a thief (RFC 9700 §4.14.2).
    async fn refresh(&self, token: &str) -> Result<TokenPair>;
    /// Ends the session of a refresh token; that it has ended already is no fault.
    async fn sign_out(&self, token: &str) -> Result<()>;
    /// Ends every session of the caller. User tokens stay.
    async fn sign_out_everywhere(&self, caller: &Caller) -> Result<()>;
    /// Is the access or refresh token good at this moment?
    async fn verify(&self, token: &str) -> Result<()>;
    /// Makes a user token for whoever has the name and the password.
    async fn exchange_for_user_token(&self, sign_in: SignIn) -> Result<IssuedToken>;
    /// Makes a named user token. Of too many the oldest goes.
    async fn create_user_token(&self, caller: &Caller, new: NewUserToken) -> Result<IssuedUserToken>;
    /// The caller's user tokens, newest first.
    async fn user_tokens(&self, caller: &Caller, slice: SliceQuery) -> Result<Slice<UserToken>>;
    /// Takes a user token of the caller's back.
    async fn revoke_user_token(&self, caller: &Caller, id: UserTokenId) -> Result<()>;
    /// The public keys that tokens are signed with.
    fn jwks(&self) -> Jwks;
}
