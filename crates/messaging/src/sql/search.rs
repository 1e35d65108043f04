//! Full-text search.

use std::collections::HashMap;

use async_trait::async_trait;
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, Window,
    db::{self, Sql},
    search::{Match, SearchQuery},
};
use sea_orm::FromQueryResult;

use super::{
    SqlMessaging,
    show::{MessageRow, messages},
};
use crate::{
    core::{access::Access, receipts::ReadState},
    error::{Error, Result},
    id::ConversationId,
    model::Message,
    search::{conversation_scope, user_scope},
    service::Search,
};

/// The longest text that is searched for, in bytes.
const MAX_TEXT: usize = 1_000;

/// The groups that are searched: those with the newest messages.
const GROUPS: &str = "SELECT a.conversation_id FROM messaging_member a JOIN messaging_conversation c \
    ON c.id = a.conversation_id WHERE a.user_id = $1 AND a.state = 'active' AND c.kind = 'group' \
    ORDER BY a.last_message_id DESC LIMIT 200";

const FOUND: Sql = Sql::per_backend(
    messages!(
        "FROM messaging_message_words CROSS JOIN messaging_message m ON m.id = messaging_message_words.rowid ",
        "CROSS JOIN messaging_message_type t ON t.id = m.type_id CROSS JOIN messaging_member a ",
        "ON a.conversation_id = m.conversation_id AND a.user_id = $1 CROSS JOIN messaging_conversation c ",
        "ON c.id = m.conversation_id WHERE messaging_message_words MATCH $2 AND messaging_message_words.rowid < $3 ",
        "AND (a.state = 'active' OR c.kind = 'direct') AND m.no > a.cleared_no AND m.deleted_at IS NULL ",
        "AND m.conversation_id = coalesce($5, m.conversation_id) ",
        "AND NOT EXISTS (SELECT 1 FROM messaging_hidden h WHERE h.user_id = $1 AND h.message_id = m.id) ",
        "ORDER BY messaging_message_words.rowid DESC LIMIT $4"
    ),
    messages!(
        "FROM messaging_message m JOIN messaging_message_type t ON t.id = m.type_id JOIN messaging_member a ",
        "ON a.conversation_id = m.conversation_id AND a.user_id = $1 JOIN messaging_conversation c ",
        "ON c.id = m.conversation_id WHERE m.words @@ to_tsquery('simple', $2) AND m.id < $3 ",
        "AND (a.state = 'active' OR c.kind = 'direct') AND m.no > a.cleared_no AND m.deleted_at IS NULL ",
        "AND m.conversation_id = coalesce($5, m.conversation_id) ",
        "AND NOT EXISTS (SELECT 1 FROM messaging_hidden h WHERE h.user_id = $1 AND h.message_id = m.id) ",
        "ORDER BY m.id DESC LIMIT $4"
    ),
);

/// What is read in some conversations.
const READ: Sql = Sql::per_backend(
    "SELECT a.conversation_id, a.last_read_no AS own, (SELECT o.last_read_no FROM messaging_member o \
     JOIN messaging_conversation c ON c.id = o.conversation_id WHERE c.kind = 'direct' \
     AND o.conversation_id = a.conversation_id AND o.user_id <> a.user_id AND NOT EXISTS (SELECT 1 \
     FROM messaging_settings s WHERE (s.user_id = o.user_id OR s.user_id = a.user_id) AND NOT s.sends_receipts)) \
     AS other FROM messaging_member a WHERE a.user_id = $1 \
     AND a.conversation_id IN (SELECT value FROM json_each($2))",
    "SELECT a.conversation_id, a.last_read_no AS own, (SELECT o.last_read_no FROM messaging_member o \
     JOIN messaging_conversation c ON c.id = o.conversation_id WHERE c.kind = 'direct' \
     AND o.conversation_id = a.conversation_id AND o.user_id <> a.user_id AND NOT EXISTS (SELECT 1 \
     FROM messaging_settings s WHERE (s.user_id = o.user_id OR s.user_id = a.user_id) AND NOT s.sends_receipts)) \
     AS other FROM messaging_member a WHERE a.user_id = $1 \
     AND a.conversation_id IN (SELECT value::bigint FROM json_array_elements_text($2::json))",
);

#[derive(FromQueryResult)]
struct ReadRow {
    conversation_id: ConversationId,
    own: i64,
    other: Option<i64>,
}

#[async_trait]
impl Search for SqlMessaging {
    async fn search_messages(
        &self,
        caller: &Caller,
        text: String,
        conversation: Option<ConversationId>,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Message>> {
        let conn = self.core.db.conn();
        let before = match cursor.window() {
            Window::Newest => i64::MAX,
            Window::Before(id) => id,
            Window::After(_) => return Err(Error::field("after", "A search only goes from newer to older messages.")),
        };
        let nothing = || CursorPage::from_rows(Vec::new(), |message: &Message| message.id.0, &cursor);
        let Some(query) = SearchQuery::parse(&text).filter(|_| text.len() <= MAX_TEXT) else {
            return Ok(nothing());
        };
        let scopes = if let Some(id) = conversation {
            vec![conversation_scope(Access::load(conn, caller.user, id).await?.id)]
        } else {
            let groups: Vec<ConversationId> = db::scalars(conn, GROUPS, [caller.user.into()]).await?;
            std::iter::once(user_scope(caller.user)).chain(groups.into_iter().map(conversation_scope)).collect()
        };
        let Some(query) = query.within(scopes) else {
            return Ok(nothing());
        };
        let query = query.expression(self.core.db.backend(), Match::Prefix);
        let rows = i64::try_from(cursor.rows()).unwrap_or(i64::MAX);
        let values = [caller.user.into(), query.into(), before.into(), rows.into(), conversation.into()];
        let rows: Vec<MessageRow> = db::rows(conn, FOUND, values).await?;
        let conversations = db::id_list(rows.iter().map(|row| row.conversation_id.0));
        let read: Vec<ReadRow> = db::rows(conn, READ, [caller.user.into(), conversations]).await?;
        let state =
            |row: ReadRow| (row.conversation_id, ReadState { own: row.own, other: row.other.unwrap_or_default() });
        let read: HashMap<ConversationId, ReadState> = read.into_iter().map(state).collect();
        let (rows, page) = CursorPage::from_rows(rows, |row: &MessageRow| row.id.0, &cursor).split();
        let read = |id| read.get(&id).copied().unwrap_or_default();
        Ok(page.with_results(self.show_messages(rows, caller.user, read).await?))
    }
}
