//! Who has blocked whom.

use guildhall_kernel::{
    UserId,
    db::{self, Sql},
};
use sea_orm::ConnectionTrait;

use crate::{error::Result, id::ConversationId};

const IS_BLOCKED: &str = "SELECT EXISTS (SELECT 1 FROM messaging_block WHERE blocker_id = $1 AND blocked_id = $2) \
    OR EXISTS (SELECT 1 FROM messaging_block WHERE blocker_id = $2 AND blocked_id = $1)";

/// Those of a list of users who are blocked by a user, or have blocked them.
const AMONG: Sql = Sql::per_backend(
    "SELECT blocked_id FROM messaging_block WHERE blocker_id = $1 \
     AND blocked_id IN (SELECT value FROM json_each($2)) \
     UNION SELECT blocker_id FROM messaging_block WHERE blocked_id = $1 \
     AND blocker_id IN (SELECT value FROM json_each($2))",
    "SELECT blocked_id FROM messaging_block WHERE blocker_id = $1 \
     AND blocked_id IN (SELECT value::bigint FROM json_array_elements_text($2::json)) \
     UNION SELECT blocker_id FROM messaging_block WHERE blocked_id = $1 \
     AND blocker_id IN (SELECT value::bigint FROM json_array_elements_text($2::json))",
);

const IN_CONVERSATION: &str = "SELECT EXISTS (SELECT 1 FROM messaging_member m WHERE m.conversation_id = $1 \
    AND m.state = 'active' AND (EXISTS (SELECT 1 FROM messaging_block b \
    WHERE b.blocker_id = m.user_id AND b.blocked_id = $2) OR EXISTS (SELECT 1 FROM messaging_block b \
    WHERE b.blocker_id = $2 AND b.blocked_id = m.user_id)))";

/// Whether one of two users has blocked the other.
pub(crate) async fn is_blocked(conn: &impl ConnectionTrait, one: UserId, other: UserId) -> Result<bool> {
    Ok(db::scalar(conn, IS_BLOCKED, [one.into(), other.into()]).await?.unwrap_or_default())
}

/// Those of these users who are blocked by a user, or have blocked them.
pub(crate) async fn blocked_among(
    conn: &impl ConnectionTrait,
    user: UserId,
    others: impl IntoIterator<Item = UserId>,
) -> Result<Vec<UserId>> {
    let others = db::id_list(others.into_iter().map(|other| other.0));
    Ok(db::scalars(conn, AMONG, [user.into(), others]).await?)
}

/// Whether a member of a conversation is blocked by a user, or has blocked them.
pub(crate) async fn is_blocked_in(
    conn: &impl ConnectionTrait,
    conversation: ConversationId,
    user: UserId,
) -> Result<bool> {
    Ok(db::scalar(conn, IN_CONVERSATION, [conversation.into(), user.into()]).await?.unwrap_or_default())
}
