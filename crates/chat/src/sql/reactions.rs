//! Reactions to messages.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Person, db, db::Tx};
use serde_json::json;

use super::{SqlChat, changes::load_changeable};
use crate::{
    core::{
        access::Access,
        frames::Frame,
        log::{After, RoomLog},
    },
    error::{Error, Result},
    id::{MessageId, RoomId},
    service::Reactions,
};

/// How many different emoji a message can have as reactions.
const MAX_KINDS: i64 = 20;

const KINDS: &str = "SELECT COUNT(DISTINCT emoji) FROM chat_reaction WHERE message_id = $1 AND emoji <> $2";
const ADD: &str =
    "INSERT INTO chat_reaction (message_id, user_id, emoji, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const REMOVE: &str = "DELETE FROM chat_reaction WHERE message_id = $1 AND user_id = $2 AND emoji = $3";

/// Parses a single emoji, which is normalized.
fn parse(input: &str) -> Result<String> {
    let emoji = emojis::get(input).map(|emoji| emoji.as_str().to_owned());
    emoji.ok_or_else(|| Error::field("emoji", "Choose one emoji."))
}

impl SqlChat {
    async fn append_reaction(
        &self,
        tx: &Tx,
        user: &Person,
        access: &Access,
        (message_id, emoji): (MessageId, &str),
        on: bool,
    ) -> Result<()> {
        let record = json!({ "type": "reaction", "message": message_id, "emoji": emoji, "on": on });
        let frame = Frame::Reaction { message_id, user, emoji, on };
        let mut log = RoomLog::new(&self.core, tx, access, self.core.now());
        log.append(Some(user.id), record, &frame, After::More).await.map(|_| ())
    }
}

#[async_trait]
impl Reactions for SqlChat {
    async fn react(&self, caller: &Caller, room: RoomId, id: MessageId, emoji: String) -> Result<()> {
        let (emoji, now) = (parse(&emoji)?, self.core.now());
        self.core.limits.count_send(caller.user, room)?;
        let (emoji, person) = (emoji.as_str(), &self.core.person(caller.user).await?);
        self.core
            .write(|tx| async move {
                let (_, access) = load_changeable(&tx, caller, room, id).await?;
                let kinds = db::scalar::<i64>(&tx, KINDS, [id.into(), emoji.into()]).await?;
                if kinds.unwrap_or_default() >= MAX_KINDS {
                    return Err(Error::field("emoji", format!("At most {MAX_KINDS} different emoji.")));
                }
                let values = [id.into(), caller.user.into(), emoji.into(), now.into()];
                if db::execute(&tx, ADD, values).await? == 0 {
                    return Ok(());
                }
                self.append_reaction(&tx, person, &access, (id, emoji), true).await
            })
            .await
    }

    async fn unreact(&self, caller: &Caller, room: RoomId, id: MessageId, emoji: String) -> Result<()> {
        let emoji = parse(&emoji)?;
        self.core.limits.count_send(caller.user, room)?;
        let (emoji, person) = (emoji.as_str(), &self.core.person(caller.user).await?);
        self.core
            .write(|tx| async move {
                let (_, access) = load_changeable(&tx, caller, room, id).await?;
                if db::execute(&tx, REMOVE, [id.into(), caller.user.into(), emoji.into()]).await? == 0 {
                    return Ok(());
                }
                self.append_reaction(&tx, person, &access, (id, emoji), false).await
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
