//! Full-text search.

use async_trait::async_trait;
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, Window,
    db::{self, Sql},
    search::{Match, SearchQuery},
};

use super::SqlChat;
use crate::{
    core::{
        access::Access,
        log::room_scope,
        messages::{MessageRow, messages},
    },
    error::{Error, Result},
    id::RoomId,
    model::Message,
    service::Search,
};

/// The longest text that is searched for, in bytes.
const MAX_TEXT: usize = 1_000;

/// The rooms that are searched: those that the caller has joined most recently.
const ROOMS: &str = "SELECT room_id FROM chat_participant WHERE user_id = $1 AND state = 'active' \
    ORDER BY joined_at DESC, room_id DESC LIMIT 200";

const FOUND: Sql = Sql::per_backend(
    messages!(
        "chat_message_words w CROSS JOIN chat_message m ON m.id = w.rowid CROSS JOIN chat_participant p \
         ON p.room_id = m.room_id AND p.user_id = $1 CROSS JOIN chat_room r ON r.id = m.room_id",
        "chat_message_words MATCH $2 AND w.rowid < $3 AND p.state = 'active' AND m.deleted_at IS NULL ",
        "AND (r.history_from_start OR m.seq > p.joined_seq) AND ($5 = 0 OR m.room_id = $5) ",
        "ORDER BY w.rowid DESC LIMIT $4"
    ),
    messages!(
        "chat_message m JOIN chat_participant p ON p.room_id = m.room_id AND p.user_id = $1 \
         JOIN chat_room r ON r.id = m.room_id",
        "m.words @@ to_tsquery('simple', $2) AND m.id < $3 AND p.state = 'active' AND m.deleted_at IS NULL ",
        "AND (r.history_from_start OR m.seq > p.joined_seq) AND ($5 = 0 OR m.room_id = $5) ",
        "ORDER BY m.id DESC LIMIT $4"
    ),
);

#[async_trait]
impl Search for SqlChat {
    async fn search_messages(
        &self,
        caller: &Caller,
        text: String,
        room: Option<RoomId>,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Message>> {
        let conn = self.core.db.conn();
        let before = match cursor.window() {
            Window::Newest => i64::MAX,
            Window::Before(id) => id,
            Window::After(_) => return Err(Error::field("after", "A search only goes from newer to older messages.")),
        };
        let rooms: Vec<RoomId> = match room {
            Some(id) => vec![Access::load(conn, caller.user, id).await?.require_participant()?.id],
            None => db::scalars(conn, ROOMS, [caller.user.into()]).await?,
        };
        let query = SearchQuery::parse(&text).filter(|_| text.len() <= MAX_TEXT);
        let Some(query) = query.and_then(|query| query.within(rooms.into_iter().map(room_scope))) else {
            return Ok(CursorPage::from_rows(Vec::new(), |message: &Message| message.id.0, &cursor));
        };
        let query = query.expression(self.core.db.backend(), Match::Prefix);
        let rows = i64::try_from(cursor.rows()).unwrap_or(i64::MAX);
        let only = room.map_or(0, |room| room.0);
        let values = [caller.user.into(), query.into(), before.into(), rows.into(), only.into()];
        let rows: Vec<MessageRow> = db::rows(conn, FOUND, values).await?;
        let (rows, page) = CursorPage::from_rows(rows, |row: &MessageRow| row.id.0, &cursor).split();
        Ok(page.with_results(self.show_messages(caller.user, rows).await?))
    }
}
