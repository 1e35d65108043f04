//! Messages as the caller sees them.

use std::collections::{BTreeMap, HashMap};

use guildhall_kernel::{
    UserId,
    db::{self, Sql},
};
use sea_orm::FromQueryResult;

use super::SqlChat;
use crate::{
    core::messages::MessageRow,
    error::{Error, Result},
    id::MessageId,
    model::Message,
};

const REACTIONS: Sql = Sql::per_backend(
    "SELECT message_id, emoji, COUNT(*) AS count, MAX(CASE WHEN user_id = $2 THEN 1 ELSE 0 END) AS is_mine \
     FROM chat_reaction WHERE message_id IN (SELECT value FROM json_each($1)) GROUP BY message_id, emoji",
    "SELECT message_id, emoji, COUNT(*) AS count, CAST(MAX(CASE WHEN user_id = $2 THEN 1 ELSE 0 END) AS bigint) \
     AS is_mine FROM chat_reaction \
     WHERE message_id IN (SELECT value::bigint FROM json_array_elements_text($1::json)) GROUP BY message_id, emoji",
);

#[derive(FromQueryResult)]
struct ReactionRow {
    message_id: MessageId,
    emoji: String,
    count: i64,
    is_mine: i64,
}

/// The reactions to a message, and the viewer's own.
type Reactions = (BTreeMap<String, i64>, Vec<String>);

impl SqlChat {
    /// Messages as a user sees them, in the same order.
    pub(super) async fn show_messages(&self, viewer: UserId, rows: Vec<MessageRow>) -> Result<Vec<Message>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids = db::id_list(rows.iter().map(|row| row.id.0));
        let found = db::rows::<ReactionRow>(self.core.db.conn(), REACTIONS, [ids, viewer.into()]);
        let (found, people) = tokio::join!(found, self.core.people(rows.iter().flat_map(MessageRow::users)));
        let people = people?;
        let mut reactions: HashMap<MessageId, Reactions> = HashMap::new();
        for row in found? {
            let (counts, own) = reactions.entry(row.message_id).or_default();
            if row.is_mine == 1 {
                own.push(row.emoji.clone());
            }
            counts.insert(row.emoji, row.count);
        }
        let show = |row: MessageRow| {
            let (counts, mut own) = reactions.remove(&row.id).unwrap_or_default();
            own.sort();
            let seq = Some(row.seq);
            let message = row.show(&people, |file, name| self.core.host.files.url(file, None, name, Some(viewer)));
            Message { seq, reactions: counts, my_reactions: Some(own), ..message }
        };
        Ok(rows.into_iter().map(show).collect())
    }

    /// A message as a user sees it.
    pub(super) async fn show_message(&self, viewer: UserId, row: MessageRow) -> Result<Message> {
        let id = row.id;
        self.show_messages(viewer, vec![row]).await?.pop().ok_or(Error::MessageNotFound(id))
    }
}
