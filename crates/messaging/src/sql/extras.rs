//! The attachments and link previews of messages.

use std::collections::HashMap;

use guildhall_kernel::{
    UserId,
    db::{self, Sql, Tx},
    link_preview::LinkPreview,
};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{SqlMessaging, attachments::show, delivery::Prepared, link_previews::open_preview, show::MessageRow};
use crate::{
    core::Core,
    entity::attachment,
    error::Result,
    id::MessageId,
    model::{Attachment, Message},
};

const ATTACHMENTS: Sql = Sql::per_backend(
    "SELECT id, message_id, uploader_id, position, file_id, name, content_type, size, width, height, created_at \
     FROM messaging_attachment WHERE message_id IN (SELECT value FROM json_each($1)) ORDER BY message_id, position",
    "SELECT id, message_id, uploader_id, position, file_id, name, content_type, size, width, height, created_at \
     FROM messaging_attachment WHERE message_id IN (SELECT value::bigint FROM json_array_elements_text($1::json)) \
     ORDER BY message_id, position",
);
const PREVIEWS: Sql = Sql::per_backend(
    "SELECT message_id, page, key_id FROM messaging_link_preview \
     WHERE message_id IN (SELECT value FROM json_each($1)) AND page IS NOT NULL",
    "SELECT message_id, page, key_id FROM messaging_link_preview \
     WHERE message_id IN (SELECT value::bigint FROM json_array_elements_text($1::json)) AND page IS NOT NULL",
);

#[derive(FromQueryResult)]
struct PreviewRow {
    message_id: MessageId,
    page: String,
    key_id: Option<String>,
}

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
    /// Attaches uploads to a message that was just inserted, and has the page that it links to fetched. Returns the
    /// message as its events show it.
    pub(super) async fn complete(&self, tx: &Tx, row: &MessageRow, sender: UserId, new: &Prepared) -> Result<Message> {
        let attachments = self.attach(tx, row.id, sender, &new.attachments).await?;
        if new.has_link {
            self.request_preview(tx, row.id, row.created_at).await?;
        }
        Ok(Message { attachments, ..row.clone().for_everybody(&self.core.host.keys) })
    }

    /// Adds the attachments and link previews to messages that a user sees.
    pub(super) async fn add_extras<'a>(
        &self,
        viewer: UserId,
        messages: impl IntoIterator<Item = &'a mut Message>,
    ) -> Result<()> {
        let messages: Vec<&mut Message> = messages.into_iter().collect();
        let ids = messages.iter().map(|message| message.id);
        let mut extras = Extras::load(&self.core, self.core.db.conn(), ids, viewer).await?;
        for message in messages {
            (message.attachments, message.link_preview) = extras.take(message.id);
        }
        Ok(())
    }
}
