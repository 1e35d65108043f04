//! The full-text index of messages. It is written by the program and has no copy of the texts: on SQLite a contentless
//! table, on PostgreSQL the column `words`, without the positions of the words. Deleted rows leave it by themselves.

use guildhall_kernel::{
    UserId,
    db::{self, Sql, Tx},
};

use crate::{
    error::Result,
    id::{ConversationId, MessageId},
    search,
};

/// On PostgreSQL, the statement that inserts a message contains its words.
const ADD: Sql = Sql::sqlite_only("INSERT INTO messaging_message_words (rowid, words) VALUES ($1, $2)");
const REPLACE: Sql = Sql::per_backend(
    "INSERT OR REPLACE INTO messaging_message_words (rowid, words) VALUES ($1, $2)",
    "UPDATE messaging_message SET words = strip(to_tsvector('simple', $2)) WHERE id = $1",
);
const REMOVE: Sql = Sql::per_backend(
    "DELETE FROM messaging_message_words WHERE rowid = $1",
    "UPDATE messaging_message SET words = NULL WHERE id = $1",
);

/// Adds a message that was inserted with these terms.
pub(super) async fn add(tx: &Tx, id: MessageId, terms: &str) -> Result<()> {
    db::execute(&tx.deferred(), ADD, [id.into(), terms.into()]).await?;
    Ok(())
}

/// Replaces the terms of a message whose content has changed.
pub(super) async fn replace(
    tx: &Tx,
    id: MessageId,
    content: &str,
    conversation: ConversationId,
    people: Option<[UserId; 2]>,
) -> Result<()> {
    let terms = search::document(content, conversation, people);
    db::execute(&tx.deferred(), REPLACE, [id.into(), terms.into()]).await?;
    Ok(())
}

/// Removes a message.
pub(super) async fn remove(tx: &Tx, id: MessageId) -> Result<()> {
    db::execute(&tx.deferred(), REMOVE, [id.into()]).await?;
    Ok(())
}
