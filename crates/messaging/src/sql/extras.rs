//! The reactions, attachments and link previews of messages.

use std::collections::{BTreeMap, HashMap};

use guildhall_kernel::{
    UserId,
    db::{self, Sql, Tx},
    link_preview::LinkPreview,
};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{
    SqlMessaging,
    attachments::{columns, show},
    delivery::Prepared,
    link_previews::open_preview,
    show::MessageRow,
};
use crate::{
    core::{Core, receipts::ReadState},
    entity::attachment,
    error::Result,
    id::{ConversationId, MessageId},
    model::{Attachment, Message},
};

const REACTIONS: Sql = Sql::per_backend(
    "SELECT message_id, emoji, COUNT(*) AS count, MAX(CASE WHEN user_id = $2 THEN 1 ELSE 0 END) AS is_mine \
     FROM messaging_reaction WHERE message_id IN (SELECT value FROM json_each($1)) GROUP BY message_id, emoji",
    "SELECT message_id, emoji, COUNT(*) AS count, CAST(MAX(CASE WHEN user_id = $2 THEN 1 ELSE 0 END) AS bigint) \
     AS is_mine FROM messaging_reaction \
     WHERE message_id IN (SELECT value::bigint FROM json_array_elements_text($1::json)) GROUP BY message_id, emoji",
);
const ATTACHMENTS: Sql = Sql::per_backend(
    concat!(
        "SELECT ",
        columns!(),
        " FROM messaging_attachment WHERE message_id IN (SELECT value FROM json_each($1)) ORDER BY message_id, position"
    ),
    concat!(
        "SELECT ",
        columns!(),
        " FROM messaging_attachment ",
        "WHERE message_id IN (SELECT value::bigint FROM json_array_elements_text($1::json)) ",
        "ORDER BY message_id, position"
    ),
);
const PREVIEWS: Sql = Sql::per_backend(
    "SELECT message_id, page, key_id FROM messaging_link_preview \
     WHERE message_id IN (SELECT value FROM json_each($1)) AND page IS NOT NULL",
    "SELECT message_id, page, key_id FROM messaging_link_preview \
     WHERE message_id IN (SELECT value::bigint FROM json_array_elements_text($1::json)) AND page IS NOT NULL",
);

#[derive(FromQueryResult)]
struct ReactionRow {
    message_id: MessageId,
    emoji: String,
    count: i64,
    is_mine: i64,
}

#[derive(FromQueryResult)]
struct PreviewRow {
    message_id: MessageId,
    page: String,
    key_id: Option<String>,
}

/// The reactions to a message, and the viewer's own.
type Reactions = (BTreeMap<String, i64>, Vec<String>);

/// The attachments and link previews of some messages.
#[derive(Default)]
pub(crate) struct Extras {
    attachments: HashMap<MessageId, Vec<Attachment>>,
    previews: HashMap<MessageId, LinkPreview>,
}

impl Extras {
    /// Those of these messages, as a user sees them.
    pub(crate) async fn load(
        core: &Core,
        conn: &impl ConnectionTrait,
        messages: impl IntoIterator<Item = MessageId>,
        viewer: UserId,
    ) -> Result<Self> {
        let ids: Vec<i64> = messages.into_iter().map(|id| id.0).collect();
        if ids.is_empty() {
            return Ok(Self::default());
        }
        let list = || [db::id_list(ids.iter().copied())];
        let (rows, previews) = tokio::try_join!(
            db::rows::<attachment::Model>(conn, ATTACHMENTS, list()),
            db::rows::<PreviewRow>(conn, PREVIEWS, list()),
        )?;
        let mut attachments: HashMap<MessageId, Vec<Attachment>> = HashMap::new();
        for row in rows {
            if let Some(message) = row.message_id {
                attachments.entry(message).or_default().push(show(core, row, viewer));
            }
        }
        let preview = |PreviewRow { message_id, page, key_id }| {
            Some((message_id, open_preview(&core.host.keys, message_id, page, key_id.as_deref())?))
        };
        Ok(Self { attachments, previews: previews.into_iter().filter_map(preview).collect() })
    }

    /// The attachments and the link preview of a message.
    pub(crate) fn take(&mut self, id: MessageId) -> (Vec<Attachment>, Option<LinkPreview>) {
        (self.attachments.remove(&id).unwrap_or_default(), self.previews.remove(&id))
    }
}

impl SqlMessaging {
    /// Attaches uploads to a message that was just inserted, and requests the preview of the page that it links to.
    /// Returns the message as its events show it.
    pub(super) async fn complete(&self, tx: &Tx, row: &MessageRow, sender: UserId, new: &Prepared) -> Result<Message> {
        let attachments = self.attach(tx, row.id, sender, &new.attachments).await?;
        if new.has_link {
            self.request_preview(tx, row.id, row.created_at).await?;
        }
        Ok(Message { attachments, ..row.clone().for_everybody(&self.core.host.keys) })
    }

    /// Messages as a user sees them, in the same order; `read` is the state of their conversations.
    pub(super) async fn show_messages(
        &self,
        rows: Vec<MessageRow>,
        viewer: UserId,
        read: impl Fn(ConversationId) -> ReadState,
    ) -> Result<Vec<Message>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<MessageId> = rows.iter().map(|row| row.id).collect();
        let conn = self.core.db.conn().pipeline();
        let (mut reactions, mut extras) = tokio::try_join!(
            reactions_to(&conn, &ids, viewer),
            Extras::load(&self.core, &conn, ids.iter().copied(), viewer),
        )?;
        let show = |row: MessageRow| {
            let (counts, mut own) = reactions.remove(&row.id).unwrap_or_default();
            own.sort();
            let is_read = row.is_read(viewer, read(row.conversation_id));
            let (attachments, link_preview) = extras.take(row.id);
            Message { attachments, link_preview, ..row.show(&self.core.host.keys, is_read, counts, Some(own)) }
        };
        Ok(rows.into_iter().map(show).collect())
    }
}

/// The reactions to some messages.
async fn reactions_to(
    conn: &impl ConnectionTrait,
    messages: &[MessageId],
    viewer: UserId,
) -> Result<HashMap<MessageId, Reactions>> {
    let ids = db::id_list(messages.iter().map(|id| id.0));
    let mut reactions: HashMap<MessageId, Reactions> = HashMap::new();
    for row in db::rows::<ReactionRow>(conn, REACTIONS, [ids, viewer.into()]).await? {
        let (counts, own) = reactions.entry(row.message_id).or_default();
        if row.is_mine == 1 {
            own.push(row.emoji.clone());
        }
        counts.insert(row.emoji, row.count);
    }
    Ok(reactions)
}
