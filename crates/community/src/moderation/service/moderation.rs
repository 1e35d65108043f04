//! Bans, and the moderation log.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Page, PageQuery, UserId};

use crate::{
    error::Result,
    id::GroupId,
    moderation::{Ban, LogEntry, NewBan},
};

/// Bans, and the moderation log.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Moderation: Send + Sync + 'static {
    /// Bans a user from a group, and removes them if they are a member.
    async fn ban(&self, caller: &Caller, id: GroupId, new: NewBan) -> Result<Ban>;
    /// Lifts a ban.
    async fn unban(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<()>;
    /// The bans of a group, newest first.
    async fn bans(&self, caller: &Caller, id: GroupId, page: PageQuery) -> Result<Page<Ban>>;
    /// The moderation log of a group, newest first.
    async fn log(&self, caller: &Caller, id: GroupId, cursor: CursorQuery) -> Result<CursorPage<LogEntry>>;
}
