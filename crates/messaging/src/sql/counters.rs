//! Checks and repairs counters. Every operation updates them in its own transaction; they can only be wrong if somebody
//! has changed the database by other means.

use guildhall_kernel::{
    db::{self, Sql, Tx},
    doctor::Finding,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, sea_query::LockType};

use super::SqlMessaging;
use crate::{
    entity::conversation,
    error::{Error, Result},
    id::ConversationId,
};

/// How many conversations are repaired in one transaction.
const CHUNK: i64 = 200;

/// The right number of unread messages of a member.
macro_rules! unread {
    () => {
        "(SELECT COUNT(*) FROM messaging_message m WHERE m.conversation_id = messaging_member.conversation_id \
         AND m.no > messaging_member.last_read_no AND m.no > messaging_member.cleared_no \
         AND m.sender_id IS DISTINCT FROM messaging_member.user_id AND m.deleted_at IS NULL \
         AND (messaging_member.state = 'active' OR messaging_member.state = 'requested') \
         AND NOT EXISTS (SELECT 1 FROM messaging_hidden h \
         WHERE h.user_id = messaging_member.user_id AND h.message_id = m.id))"
    };
}

/// The right number of people of a conversation.
macro_rules! people {
    () => {
        "(SELECT COUNT(*) FROM messaging_member a WHERE a.conversation_id = messaging_conversation.id \
         AND (messaging_conversation.kind = 'direct' OR a.state = 'active' OR a.state = 'requested'))"
    };
}

const WRONG_UNREAD: &str = concat!(
    "SELECT DISTINCT conversation_id FROM messaging_member WHERE unread_count <> ",
    unread!(),
    " ORDER BY conversation_id LIMIT $1"
);
const RECOUNT_UNREAD: Sql = Sql::per_backend(
    concat!(
        "UPDATE messaging_member SET unread_count = ",
        unread!(),
        " WHERE conversation_id IN (SELECT value FROM json_each($1))"
    ),
    concat!(
        "UPDATE messaging_member SET unread_count = ",
        unread!(),
        " WHERE conversation_id IN (SELECT value::bigint FROM json_array_elements_text($1::json))"
    ),
);
const WRONG_PEOPLE: &str =
    concat!("SELECT id FROM messaging_conversation WHERE member_count <> ", people!(), " ORDER BY id LIMIT $1");
const RECOUNT_PEOPLE: Sql = Sql::per_backend(
    concat!(
        "UPDATE messaging_conversation SET member_count = ",
        people!(),
        " WHERE id IN (SELECT value FROM json_each($1))"
    ),
    concat!(
        "UPDATE messaging_conversation SET member_count = ",
        people!(),
        " WHERE id IN (SELECT value::bigint FROM json_array_elements_text($1::json))"
    ),
);

/// Locks conversations, in the order of their ids.
pub(super) async fn lock(tx: &Tx, ids: &[ConversationId]) -> Result<()> {
    let rows = || {
        conversation::Entity::find()
            .filter(conversation::COLUMN.id.is_in(ids.iter().copied()))
            .order_by_asc(conversation::Column::Id)
    };
    Ok(db::lock_rows(tx, rows, LockType::NoKeyUpdate).await?)
}

/// Counts the unread messages of the members of conversations, which have to be locked.
pub(super) async fn recount_unread(tx: &Tx, ids: &[ConversationId]) -> Result<()> {
    db::execute(&tx.deferred(), RECOUNT_UNREAD, [db::id_list(ids.iter().map(|id| id.0))]).await?;
    Ok(())
}

impl SqlMessaging {
    /// Checks every counter; with `fix`, repairs those that are wrong.
    pub async fn examine(&self, fix: bool) -> Result<Vec<Finding>> {
        let mut wrong = Vec::new();
        for (name, find, repair) in [
            ("messaging_member.unread_count", WRONG_UNREAD, RECOUNT_UNREAD),
            ("messaging_conversation.member_count", WRONG_PEOPLE, RECOUNT_PEOPLE),
        ] {
            let find = || async move { db::scalars(self.core.db.conn(), find, [CHUNK.into()]).await };
            let mut found: Vec<ConversationId> = find().await?;
            if !found.is_empty() {
                wrong.push(format!("{name} in {} conversations", found.len()));
            }
            while fix && !found.is_empty() {
                let ids = &found;
                let operation = |tx: Tx| async move {
                    lock(&tx, ids).await?;
                    db::execute(&tx, repair, [db::id_list(ids.iter().map(|id| id.0))]).await?;
                    Ok::<_, Error>(())
                };
                self.core.write(operation).await?;
                found = find().await?;
            }
        }
        if wrong.is_empty() {
            return Ok(vec![Finding::ok("messaging.counters", "All counters are correct.")]);
        }
        let finding = Finding::error("messaging.counters", format!("Wrong: {}.", wrong.join(", ")));
        Ok(vec![if fix { finding.fixed() } else { finding }])
    }
}
