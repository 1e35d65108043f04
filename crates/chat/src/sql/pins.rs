//! Pinned messages.

use async_trait::async_trait;
use guildhall_kernel::{Caller, UserId, db};
use sea_orm::FromQueryResult;
use serde_json::json;

use super::{SqlChat, changes::load_changeable};
use crate::{
    core::{
        access::Access,
        frames::Frame,
        log::{After, RoomLog},
        messages::{MessageRow, messages},
    },
    error::{Error, Result},
    id::{MessageId, RoomId},
    model::{Message, Pin},
    service::Pins,
};

/// How many messages of a room can be pinned.
const MAX_PINS: i64 = 50;

const PINNED: &str = messages!(
    "chat_pin p JOIN chat_message m ON m.id = p.message_id",
    "p.room_id = $1 AND m.seq > $2 ORDER BY i.created_at DESC, m.id DESC LIMIT $3"
);
const PINNED_BY: &str =
    "SELECT message_id, pinned_by FROM chat_pin WHERE room_id = $1 AND pinned_by IS NOT NULL LIMIT $2";
const COUNT: &str = "SELECT COUNT(*) FROM chat_pin WHERE room_id = $1";
const PIN: &str = "INSERT INTO chat_pin (message_id, room_id, pinned_by, created_at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT DO NOTHING";
const UNPIN: &str = "DELETE FROM chat_pin WHERE message_id = $1 AND room_id = $2";

#[derive(FromQueryResult)]
struct PinnedRow {
    message_id: MessageId,
    pinned_by: UserId,
}

impl SqlChat {
    /// Pins a message, or unpins it.
    async fn set_pin(&self, caller: &Caller, room: RoomId, id: MessageId, on: bool) -> Result<()> {
        let (user_id, now) = (caller.user, self.core.now());
        self.core
            .write(|tx| async move {
                let (_, access) = load_changeable(&tx, caller, room, id).await?;
                let access = access.require_moderator(caller)?;
                let changed = if on {
                    let values = [id.into(), room.into(), user_id.into(), now.into()];
                    db::execute(&tx, PIN, values).await?
                } else {
                    db::execute(&tx, UNPIN, [id.into(), room.into()]).await?
                };
                if changed == 0 {
                    return Ok(());
                }
                if db::scalar::<i64>(&tx, COUNT, [room.into()]).await?.unwrap_or_default() > MAX_PINS {
                    return Err(Error::TooManyPins(MAX_PINS));
                }
                let record = json!({ "type": "message_pinned", "message": id, "on": on });
                let frame = Frame::MessagePinned { message_id: id, user_id, on };
                let mut log = RoomLog::new(&self.core, &tx, &access, now);
                log.append(Some(user_id), record, &frame, After::More).await.map(|_| ())
            })
            .await
    }
}

#[async_trait]
impl Pins for SqlChat {
    async fn pins(&self, caller: &Caller, room: RoomId) -> Result<Vec<Pin>> {
        let conn = self.core.db.conn();
        let access = Access::load(conn, caller.user, room).await?.require_participant()?;
        let values = [room.into(), access.visible_after().into(), MAX_PINS.into()];
        let rows: Vec<MessageRow> = db::rows(conn, PINNED, values).await?;
        let pinned: Vec<PinnedRow> = db::rows(conn, PINNED_BY, [room.into(), MAX_PINS.into()]).await?;
        let people = self.core.people(pinned.iter().map(|row| row.pinned_by)).await?;
        let times: Vec<_> = rows.iter().map(|row| row.pinned_at.unwrap_or(row.created_at)).collect();
        let messages = self.show_messages(caller.user, rows).await?;
        let show = |(message, created_at): (Message, _)| {
            let by = pinned.iter().find(|row| row.message_id == message.id).map(|row| row.pinned_by);
            Pin { pinned_by: by.and_then(|by| people.get(&by)).cloned(), message, created_at }
        };
        Ok(messages.into_iter().zip(times).map(show).collect())
    }

    async fn pin(&self, caller: &Caller, room: RoomId, id: MessageId) -> Result<()> {
        self.set_pin(caller, room, id, true).await
    }

    async fn unpin(&self, caller: &Caller, room: RoomId, id: MessageId) -> Result<()> {
        self.set_pin(caller, room, id, false).await
    }
}
