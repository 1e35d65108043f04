use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, IfMatch, Page, PageQuery, SessionId, UserId};

use crate::{
    Account, AccountChange, AccountFilter, AccountPatch, DirectoryEntry, EmailChange, IssuedToken, IssuedUserToken,
    Jwks, NewAccount, NewUser, NewUserToken, PasswordChange, PasswordProof, PasswordReset, RecoveryCodes, ResetRequest,
    Result, SecondFactor, Session, SignIn, SignOutEverywhere, SignedIn, Ticket, TokenPair, TotpCode, TotpSetup,
    UserFilter, UserToken, UserTokenId,
};

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
    /// Removes the caller's own account, as [`delete_user`](Self::delete_user) does.
    async fn delete_me(&self, caller: &Caller, proof: PasswordProof) -> Result<()>;
    /// Exports all data stored about the caller, without secrets.
    async fn export_me(&self, caller: &Caller) -> Result<serde_json::Value>;
    /// Lists active users for any signed-in caller; all users with their details for staff.
    async fn users(&self, caller: &Caller, filter: UserFilter, page: PageQuery) -> Result<Page<DirectoryEntry>>;
    /// One of the users that [`users`](Self::users) lists.
    async fn user(&self, caller: &Caller, id: UserId) -> Result<DirectoryEntry>;
    /// Deletes a user, for staff. Whatever needs an owner is reassigned to the successor, or to one that
    /// the domains choose; the rest is handled by its foreign keys. Fails with the blockers, if any.
    async fn delete_user(&self, caller: &Caller, id: UserId, successor: Option<UserId>) -> Result<()>;
    /// Erases a user's personal data, for staff. Only the row that others reference and the audit log
    /// remain.
    async fn erase_user(&self, caller: &Caller, id: UserId) -> Result<()>;
}

/// Sign-in, sessions and tokens.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Tokens: Send + Sync + 'static {
    /// Opens a session. A wrong password and an unknown user give the same error in the same time. If a
    /// second factor is set up, the error contains the token for the second step.
    async fn sign_in(&self, sign_in: SignIn) -> Result<SignedIn>;
    /// Completes a sign-in with the second factor and opens a session.
    async fn sign_in_with_second_factor(&self, second: SecondFactor) -> Result<SignedIn>;
    /// Exchanges a refresh token for its successor.
    ///
    /// Reusing a token returns the same successor during a grace period (parallel tabs) and until that
    /// successor has been used (a lost response). Any other reuse ends the session, since one of the two
    /// clients may have stolen the token (RFC 9700 §4.14.2).
    async fn refresh(&self, token: &str) -> Result<TokenPair>;
    /// Ends the session of a refresh token; succeeds if it has already ended.
    async fn sign_out(&self, token: &str) -> Result<()>;
    /// Ends all sessions of the caller, or all but the current one; optionally revokes user tokens.
    async fn sign_out_everywhere(&self, caller: &Caller, which: SignOutEverywhere) -> Result<()>;
    /// The caller's sessions, newest first.
    async fn sessions(&self, caller: &Caller, query: CursorQuery) -> Result<CursorPage<Session>>;
    /// Ends one of the caller's sessions.
    async fn end_session(&self, caller: &Caller, id: SessionId) -> Result<()>;
    /// Checks that an access or refresh token is currently valid.
    async fn verify(&self, token: &str) -> Result<()>;
    /// Issues a user token for a username and password.
    async fn exchange_for_user_token(&self, sign_in: SignIn) -> Result<IssuedToken>;
    /// Creates a named user token. Above the maximum number, the oldest is deleted.
    async fn create_user_token(&self, caller: &Caller, new: NewUserToken) -> Result<IssuedUserToken>;
    /// The caller's user tokens, newest first.
    async fn user_tokens(&self, caller: &Caller, query: CursorQuery) -> Result<CursorPage<UserToken>>;
    /// Revokes one of the caller's user tokens.
    async fn revoke_user_token(&self, caller: &Caller, id: UserTokenId) -> Result<()>;
    /// Issues a ticket for one WebSocket, valid only as long as the caller's session.
    async fn socket_ticket(&self, caller: &Caller) -> Result<Ticket>;
    /// The public keys that verify tokens.
    async fn jwks(&self) -> Result<Jwks>;
}

/// Credentials: password, email address, second factor. Security-sensitive changes require the
/// password again, and the owner is notified by email.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Security: Send + Sync + 'static {
    /// Changes the caller's password. Ends all sessions and opens a new one for the caller.
    async fn change_password(&self, caller: &Caller, change: PasswordChange) -> Result<TokenPair>;
    /// Sends a password reset link to a verified email address. The result is the same if no account
    /// has verified it.
    async fn request_reset(&self, request: ResetRequest) -> Result<()>;
    /// Sets a new password with the token from an email. Ends all sessions. Keeps the second factor.
    async fn reset_password(&self, reset: PasswordReset) -> Result<()>;
    /// Sends a confirmation link to the caller's new email address; the old one stays until it is
    /// confirmed.
    async fn change_email(&self, caller: &Caller, change: EmailChange) -> Result<()>;
    /// Confirms an email address, after registration or a change.
    async fn confirm_email(&self, token: &str) -> Result<()>;
    /// Sends the verification link for the caller's email address again.
    async fn resend_verification(&self, caller: &Caller) -> Result<()>;
    /// Confirms the caller's password and records the time in the session.
    async fn step_up(&self, caller: &Caller, proof: PasswordProof) -> Result<()>;
    /// Creates the secret of a second factor. It takes effect once it is confirmed.
    async fn set_up_totp(&self, caller: &Caller) -> Result<TotpSetup>;
    /// Confirms the second factor with a code; from then on each sign-in requires one.
    async fn confirm_totp(&self, caller: &Caller, code: TotpCode) -> Result<RecoveryCodes>;
    /// Removes the second factor.
    async fn remove_totp(&self, caller: &Caller, proof: PasswordProof) -> Result<()>;
}

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
    /// Sends a user a password reset link.
    async fn send_reset(&self, caller: &Caller, id: UserId) -> Result<()>;
    /// Removes the second factor and the recovery codes of a user who has lost it.
    async fn remove_second_factor(&self, caller: &Caller, id: UserId) -> Result<()>;
}
