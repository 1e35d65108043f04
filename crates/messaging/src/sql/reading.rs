//! Reading, and the number of unread messages.

use async_trait::async_trait;
use guildhall_kernel::{
    Caller, UserId,
    db::{self, Tx},
};

use super::SqlMessaging;
use crate::{
    core::{
        access::Access,
        frames::{Frame, count_unread},
        receipts::sends_receipts,
    },
    entity::member::MemberState,
    error::{Error, Result},
    event::ConversationRead,
    id::{ConversationId, MessageId},
    model::Target,
    service::Reading,
};

/// How many messages of others are between two numbers. Each message is counted once, when it is read: afterwards it is
/// below the first number.
const COUNT_BETWEEN: &str = "SELECT COUNT(*) FROM messaging_message m WHERE m.conversation_id = $1 \
    AND m.no > $2 AND m.no <= $3 AND m.sender_id IS DISTINCT FROM $4 AND m.deleted_at IS NULL \
    AND NOT EXISTS (SELECT 1 FROM messaging_hidden h WHERE h.user_id = $4 AND h.message_id = m.id)";
const STORE: &str = "UPDATE messaging_member SET last_read_no = $3, unread_count = $4, is_marked_unread = false \
    WHERE conversation_id = $1 AND user_id = $2";

/// The number of unread messages after reading up to a number. `access` is locked.
async fn count_rest(tx: &Tx, access: &Access, user: UserId, up_to: i64) -> Result<i64> {
    if up_to == access.last_no {
        return Ok(0);
    }
    let from = access.last_read_no.max(access.cleared_no);
    let values = [access.id.into(), from.into(), up_to.into(), user.into()];
    let read = db::scalar::<i64>(tx, COUNT_BETWEEN, values).await?.unwrap_or_default();
    Ok((access.unread_count - read).max(0))
}

impl SqlMessaging {
    /// Marks a conversation as read, up to a message or the whole. The number only grows.
    pub(super) async fn read_up_to(&self, caller: &Caller, id: ConversationId, up_to: Option<MessageId>) -> Result<()> {
        let user = caller.user;
        self.core
            .write(|tx| async move {
                let access = Access::load_for_update(&tx, user, id).await?;
                let up_to = match up_to {
                    Some(message) => self.no_of(&tx, id, message).await?,
                    None => access.last_no,
                };
                if up_to <= access.last_read_no && !(access.is_marked_unread && access.unread_count == 0) {
                    return Ok(());
                }
                let is_further = up_to > access.last_read_no;
                let up_to = up_to.max(access.last_read_no);
                let rest = if is_further { count_rest(&tx, &access, user, up_to).await? } else { access.unread_count };
                db::execute(&tx.deferred(), STORE, [id.into(), user.into(), up_to.into(), rest.into()]).await?;
                if is_further {
                    // Whoever has not accepted the conversation does not reveal that they have seen it.
                    let is_active = access.state == MemberState::Active;
                    if is_active && sends_receipts(&tx, user, access.other(user)).await? {
                        self.core.append(&tx, id, &Frame::Read { user_id: user, up_to }).await?;
                    }
                    tx.emit(&ConversationRead { conversation: id, user, up_to }).await?;
                }
                self.core.publish_change(&tx, id, [(user, rest)]).await?;
                self.core.publish_unread(&tx, user).await
            })
            .await
    }
}

#[async_trait]
impl Reading for SqlMessaging {
    async fn mark_read(&self, caller: &Caller, id: MessageId) -> Result<()> {
        let (row, access) = self.find_message(self.core.db.conn(), caller.user, id).await?;
        let is_own = row.sender_id == Some(caller.user);
        let is_receiver = if access.is_direct() { row.receiver_id == Some(caller.user) } else { !is_own };
        if !is_receiver {
            return Err(Error::MessageNotFound(id));
        }
        self.read_up_to(caller, access.id, Some(id)).await
    }

    async fn mark_conversation_read(&self, caller: &Caller, of: Target, up_to: Option<MessageId>) -> Result<()> {
        let id = match of {
            Target::Conversation(id) => id,
            Target::User(user) => match Access::of_pair(self.core.db.conn(), caller.user, user).await? {
                Some(access) => access.id,
                None if up_to.is_none() => {
                    // There is nothing to read.
                    self.core.person(user).await?;
                    return Ok(());
                }
                None => return Err(Error::UserNotFound),
            },
        };
        self.read_up_to(caller, id, up_to).await
    }

    async fn unread_count(&self, caller: &Caller) -> Result<i64> {
        count_unread(self.core.db.conn(), caller.user).await
    }
}
