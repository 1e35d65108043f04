use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{Jwks, Result, SecondFactor, SignIn, SignedIn, Ticket, TokenPair};

/// Sign-in, and the tokens of sessions.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Tokens: Send + Sync + 'static {
    /// Opens a session. A wrong password and an unknown user give the same error in the same time. If a second
    /// factor is set up, the error contains the token for the second step.
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
    /// Checks that an access or refresh token is currently valid.
    async fn verify(&self, token: &str) -> Result<()>;
    /// Issues a ticket for one WebSocket, valid only as long as the caller's session.
    async fn socket_ticket(&self, caller: &Caller) -> Result<Ticket>;
    /// The public keys that verify tokens.
    async fn jwks(&self) -> Result<Jwks>;
}
