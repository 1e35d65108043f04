use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, SessionId};

use crate::{Result, Session, SignOutEverywhere};

/// The caller's sessions.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// The caller's sessions, newest first.
    async fn sessions(&self, caller: &Caller, query: CursorQuery) -> Result<CursorPage<Session>>;
    /// Ends one of the caller's sessions.
    async fn end_session(&self, caller: &Caller, id: SessionId) -> Result<()>;
    /// Ends all sessions of the caller, or all but the current one; optionally revokes user tokens.
    async fn sign_out_everywhere(&self, caller: &Caller, which: SignOutEverywhere) -> Result<()>;
}
