//! Reactions to messages.

use async_trait::async_trait;
use guildhall_kernel::{
    Caller,
    db::{self, Tx},
};

use super::{SqlMessaging, show::MessageRow};
use crate::{
    core::{access::Access, blocks::is_blocked, frames::Frame},
    error::{Error, Result},
    event::ReactionAdded,
    id::{ConversationId, MessageId},
    service::Reactions,
};

/// How many different emoji a message can have as reactions.
const MAX_KINDS: i64 = 20;

const KINDS: &str = "SELECT COUNT(DISTINCT emoji) FROM messaging_reaction WHERE message_id = $1 AND emoji <> $2";
const ADD: &str = "INSERT INTO messaging_reaction (message_id, user_id, emoji, created_at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT DO NOTHING";
const REMOVE: &str = "DELETE FROM messaging_reaction WHERE message_id = $1 AND user_id = $2 AND emoji = $3";

/// Parses a single emoji, which is normalized.
fn parse(input: &str) -> Result<String> {
    let emoji = emojis::get(input).map(|emoji| emoji.as_str().to_owned());
    emoji.ok_or_else(|| Error::field("emoji", "Choose one emoji."))
}

impl SqlMessaging {
    /// A message that the caller may react to, with its conversation, which is locked.
    async fn load_for_reaction(
        &self,
        tx: &Tx,
        caller: &Caller,
        conversation: ConversationId,
        id: MessageId,
    ) -> Result<(MessageRow, Access)> {
        let (row, access) = self.load_message(tx, caller.user, conversation, id).await?;
        let access = access.require_active()?;
        if row.is_system || row.deleted_at.is_some() {
            return Err(Error::NotChangeable);
        }
        Ok((row, access))
    }
}

#[async_trait]
impl Reactions for SqlMessaging {
    async fn react(&self, caller: &Caller, conversation: ConversationId, id: MessageId, emoji: String) -> Result<()> {
        let (emoji, now) = (&parse(&emoji)?, self.core.now());
        self.core.limits.count_send(caller.user)?;
        self.core
            .write(|tx| async move {
                let (row, access) = self.load_for_reaction(&tx, caller, conversation, id).await?;
                if let Some(other) = access.other(caller.user)
                    && is_blocked(&tx, caller.user, other).await?
                {
                    return Err(Error::Blocked);
                }
                let kinds = db::scalar::<i64>(&tx, KINDS, [id.into(), emoji.as_str().into()]).await?;
                if kinds.unwrap_or_default() >= MAX_KINDS {
                    return Err(Error::field("emoji", format!("At most {MAX_KINDS} different emoji.")));
                }
                let values = [id.into(), caller.user.into(), emoji.as_str().into(), now.into()];
                if db::execute(&tx, ADD, values).await? == 0 {
                    return Ok(());
                }
                let frame = Frame::Reaction { message_id: id, user_id: caller.user, emoji, on: true };
                self.core.append_about(&tx, access.id, row.no, &frame).await?;
                let (user, sender) = (caller.user, row.sender_id);
                let emoji = emoji.clone();
                Ok(tx.emit(&ReactionAdded { message: id, conversation, user, sender, emoji }).await?)
            })
            .await
    }

    async fn unreact(&self, caller: &Caller, conversation: ConversationId, id: MessageId, emoji: String) -> Result<()> {
        let emoji = &parse(&emoji)?;
        self.core.limits.count_send(caller.user)?;
        self.core
            .write(|tx| async move {
                let (row, access) = self.load_for_reaction(&tx, caller, conversation, id).await?;
                let values = [id.into(), caller.user.into(), emoji.as_str().into()];
                if db::execute(&tx, REMOVE, values).await? == 0 {
                    return Ok(());
                }
                let frame = Frame::Reaction { message_id: id, user_id: caller.user, emoji, on: false };
                self.core.append_about(&tx, access.id, row.no, &frame).await?;
                Ok(())
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaction_is_one_emoji() {
        assert_eq!(parse("❤").unwrap(), "❤️");
        for invalid in ["", "like", "🎉🎉", "<b>", "\0"] {
            assert!(parse(invalid).is_err(), "{invalid}");
        }
    }
}
