use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery, SessionId, Slice, SliceQuery, UserId};

use crate::{
    Account, AccountChange, AccountFilter, AccountPatch, DirectoryEntry, EmailChange, IssuedToken, IssuedUserToken,
    Jwks, NewAccount, NewUser, NewUserToken, PasswordChange, PasswordProof, PasswordReset, RecoveryCodes, ResetRequest,
    Result, SecondFactor, Session, SignIn, SignOutEverywhere, SignedIn, Ticket, TokenPair, TotpCode, TotpSetup,
    UserFilter, UserToken, UserTokenId,
};

/// People: who they are.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Makes an account without any role. Whether the address is known is never told: its owner is,
    /// by mail.
    async fn register(&self, new: NewUser) -> Result<Account>;
    /// The caller's own account.
    async fn me(&self, caller: &Caller) -> Result<Account>;
    /// Changes the caller's own account.
    async fn change_me(&self, caller: &Caller, patch: AccountPatch, known: IfMatch) -> Result<Account>;
    /// Removes the caller's own account, as [`delete_user`](Self::delete_user) does.
    async fn delete_me(&self, caller: &Caller, proof: PasswordProof) -> Result<()>;
    /// All that is kept about the caller, without secrets.
    async fn export_me(&self, caller: &Caller) -> Result<serde_json::Value>;
    /// The people who may sign in, for anybody who is signed in; everybody and their details for staff.
    async fn users(&self, caller: &Caller, filter: UserFilter, page: PageQuery) -> Result<Page<DirectoryEntry>>;
    /// One of the people that [`users`](Self::users) lists.
    async fn user(&self, caller: &Caller, id: UserId) -> Result<DirectoryEntry>;
    /// Removes a person, for staff. What must go on without them goes to the heir, or to whom the
    /// domains find; the rest goes as its foreign key says. Refused with what keeps them.
    async fn delete_user(&self, caller: &Caller, id: UserId, heir: Option<UserId>) -> Result<()>;
    /// Makes an account nobody's, for staff: nothing of the person is left but the row that others
    /// point at, and what the audit log says.
    async fn erase_user(&self, caller: &Caller, id: UserId) -> Result<()>;
}

/// Tokens: how people show who they are.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Tokens: Send + Sync + 'static {
    /// Opens a session. Says the same, and takes as long, for a wrong password as for nobody. Where a
    /// second factor is set up, the refusal carries what the second step begins with.
    async fn sign_in(&self, sign_in: SignIn) -> Result<SignedIn>;
    /// Opens a session for whoever has shown the password and now shows the second factor.
    async fn sign_in_with_second_factor(&self, second: SecondFactor) -> Result<SignedIn>;
    /// Exchanges a refresh token for its successor.
    ///
    /// The same token again gives the same successor, for a while after its use (parallel tabs) and
    /// for as long as that successor has not been used (a lost answer); any other second use ends
    /// the session, since one of the two users is a thief (RFC 9700 §4.14.2).
    async fn refresh(&self, token: &str) -> Result<TokenPair>;
    /// Ends the session of a refresh token; that it has ended already is no fault.
    async fn sign_out(&self, token: &str) -> Result<()>;
    /// Ends every session of the caller, or every other one; user tokens only if asked to.
    async fn sign_out_everywhere(&self, caller: &Caller, which: SignOutEverywhere) -> Result<()>;
    /// The caller's sessions, newest first.
    async fn sessions(&self, caller: &Caller, slice: SliceQuery) -> Result<Slice<Session>>;
    /// Ends a session of the caller's.
    async fn end_session(&self, caller: &Caller, id: SessionId) -> Result<()>;
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
    /// Makes a ticket for one socket, which ends with the session that asks for it.
    async fn socket_ticket(&self, caller: &Caller) -> Result<Ticket>;
    /// The public keys that tokens are signed with.
    async fn jwks(&self) -> Result<Jwks>;
}

/// What people sign in with: password, address, second factor. Whatever an attacker would change
/// first asks for the password again, and the owner is told by mail.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Security: Send + Sync + 'static {
    /// Gives the caller another password. Every other session ends, and the caller gets a new one.
    async fn change_password(&self, caller: &Caller, change: PasswordChange) -> Result<TokenPair>;
    /// Sends a link to choose a new password with to whoever has verified this address. Says the same
    /// where nobody has.
    async fn request_reset(&self, request: ResetRequest) -> Result<()>;
    /// Gives whoever has the letter another password. Every session ends. A second factor stays.
    async fn reset_password(&self, reset: PasswordReset) -> Result<()>;
    /// Sends a link to the caller's new address; until it is confirmed the old one stays.
    async fn change_email(&self, caller: &Caller, change: EmailChange) -> Result<()>;
    /// Confirms an address, the one at registration or a new one.
    async fn confirm_email(&self, token: &str) -> Result<()>;
    /// Sends the link for the caller's unverified address once more.
    async fn resend_verification(&self, caller: &Caller) -> Result<()>;
    /// Notes that the caller has shown the password just now.
    async fn step_up(&self, caller: &Caller, proof: PasswordProof) -> Result<()>;
    /// Makes the secret of a second factor, which counts once it is confirmed.
    async fn set_up_totp(&self, caller: &Caller) -> Result<TotpSetup>;
    /// Confirms the second factor by a code; it is asked for at each sign-in from now on.
    async fn confirm_totp(&self, caller: &Caller, code: TotpCode) -> Result<RecoveryCodes>;
    /// Takes the second factor away.
    async fn remove_totp(&self, caller: &Caller, proof: PasswordProof) -> Result<()>;
}

/// What staff does with the accounts of others. Staff never sees or sets a password.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Staff: Send + Sync + 'static {
    /// Every account.
    async fn all_accounts(&self, caller: &Caller, filter: AccountFilter, page: PageQuery) -> Result<Page<Account>>;
    /// One of them.
    async fn account(&self, caller: &Caller, id: UserId) -> Result<Account>;
    /// Makes an account and sends its owner a link to choose a password with.
    async fn create_account(&self, caller: &Caller, new: NewAccount) -> Result<Account>;
    /// Changes whether somebody may sign in, and their roles. Only a superuser gives or takes `staff`
    /// and `superuser`; the last superuser stays.
    async fn change_account(
        &self,
        caller: &Caller,
        id: UserId,
        change: AccountChange,
        known: IfMatch,
    ) -> Result<Account>;
    /// Somebody's sessions, newest first.
    async fn sessions_of(&self, caller: &Caller, id: UserId, slice: SliceQuery) -> Result<Slice<Session>>;
    /// Ends every session of somebody.
    async fn end_sessions_of(&self, caller: &Caller, id: UserId) -> Result<()>;
    /// Sends somebody a link to choose a new password with.
    async fn send_reset(&self, caller: &Caller, id: UserId) -> Result<()>;
    /// Takes the second factor of somebody away who has lost it, and the recovery codes too.
    async fn remove_second_factor(&self, caller: &Caller, id: UserId) -> Result<()>;
}
