//! What the caller has read.

use async_trait::async_trait;
use guildhall_kernel::{Caller, db};

use super::SqlChat;
use crate::{
    core::{
        access::Access,
        frames::{Frame, stream},
    },
    error::Result,
    id::RoomId,
    service::Reading,
};

/// In rooms with more participants, it is not published what they have read.
const MAX_RECEIPT_PARTICIPANTS: i64 = 200;

const NO_AT: &str = "SELECT no FROM chat_message WHERE room_id = $1 AND seq <= $2 ORDER BY seq DESC LIMIT 1";
/// The number only grows.
const STORE: &str =
    "UPDATE chat_participant SET last_read_no = $3 WHERE room_id = $1 AND user_id = $2 AND last_read_no < $3";

#[async_trait]
impl Reading for SqlChat {
    async fn mark_read(&self, caller: &Caller, room: RoomId, up_to: Option<i64>) -> Result<()> {
        let conn = self.core.db.conn();
        let access = Access::load(conn, caller.user, room).await?.require_participant()?;
        let no = match up_to {
            Some(seq) if seq < access.last_seq => db::scalar(conn, NO_AT, [room.into(), seq.into()]).await?,
            _ => Some(access.last_no),
        };
        let no: i64 = no.unwrap_or_default();
        if access.last_read_no.is_some_and(|read| read >= no) {
            return Ok(());
        }
        let values = || [room.into(), caller.user.into(), no.into()];
        let stored = self.core.db.write(|tx| async move { db::execute(&tx, STORE, values()).await }).await?;
        if stored > 0 && access.participant_count <= MAX_RECEIPT_PARTICIPANTS {
            let frame = Frame::Read { user_id: caller.user, no };
            self.core.host.streams.publish_transient(&stream(room), &frame, None);
        }
        Ok(())
    }
}
