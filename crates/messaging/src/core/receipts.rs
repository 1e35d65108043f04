//! Who has read what, as far as others may know.

use guildhall_kernel::{UserId, db};
use sea_orm::ConnectionTrait;

use super::access::Access;
use crate::error::Result;

/// Up to which number the other person has read a direct conversation, if both send receipts and neither has
/// blocked the other.
const OTHER_HAS_READ: &str = "SELECT o.last_read_no FROM messaging_member o \
    WHERE o.conversation_id = $1 AND o.user_id <> $2 AND NOT EXISTS (SELECT 1 FROM messaging_settings s \
    WHERE (s.user_id = o.user_id OR s.user_id = $2) AND NOT s.sends_receipts) \
    AND NOT EXISTS (SELECT 1 FROM messaging_block b WHERE (b.blocker_id = o.user_id AND b.blocked_id = $2) \
    OR (b.blocker_id = $2 AND b.blocked_id = o.user_id))";
const SENDS_RECEIPTS: &str = "SELECT NOT EXISTS (SELECT 1 FROM messaging_settings s \
    WHERE (s.user_id = $1 OR s.user_id = $2) AND NOT s.sends_receipts) \
    AND NOT EXISTS (SELECT 1 FROM messaging_block b WHERE (b.blocker_id = $1 AND b.blocked_id = $2) \
    OR (b.blocker_id = $2 AND b.blocked_id = $1))";

/// What is read in a conversation, as a user sees it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadState {
    /// The user has read up to this number.
    pub(crate) own: i64,
    /// The other person has read up to this number.
    pub(crate) other: i64,
}

impl ReadState {
    /// The state of a conversation.
    pub(crate) async fn load(conn: &impl ConnectionTrait, access: &Access, user: UserId) -> Result<Self> {
        let mut other = None;
        if access.is_direct() {
            other = db::scalar(conn, OTHER_HAS_READ, [access.id.into(), user.into()]).await?;
        }
        Ok(Self { own: access.last_read_no, other: other.unwrap_or_default() })
    }
}

/// Whether others may know what a user has read: both send receipts and neither has blocked the other, or in a group
/// the reader sends receipts.
pub(crate) async fn sends_receipts(conn: &impl ConnectionTrait, reader: UserId, other: Option<UserId>) -> Result<bool> {
    let other = other.unwrap_or(reader);
    Ok(db::scalar(conn, SENDS_RECEIPTS, [reader.into(), other.into()]).await?.unwrap_or_default())
}
