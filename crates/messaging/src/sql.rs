//! The services on a database.

mod attachments;
mod blocks;
mod changes;
mod conversations;
mod counters;
mod delivery;
mod extras;
mod groups;
mod keys;
mod link_previews;
mod membership;
mod message_types;
mod messages;
mod people;
mod preferences;
mod reactions;
mod reading;
mod requests;
mod retention;
mod search;
mod show;
mod words;

use std::sync::Arc;

use guildhall_files::Files;
use guildhall_kernel::{Db, PublicUrl, UserId, db, db::Tx};
use sea_orm::ConnectionTrait;

use crate::{
    core::{Core, Host, access::Access, frames::UnreadMessages},
    error::{Error, Result},
    id::{ConversationId, MessageId},
    settings::Settings,
};

pub(crate) use attachments::unsent_attachments;
pub(crate) use extras::Extras;
pub(crate) use membership::release_groups;

const RECIPIENTS: &str = "SELECT m.user_id FROM messaging_member m JOIN messaging_message s \
    ON s.conversation_id = m.conversation_id WHERE s.id = $1 AND s.deleted_at IS NULL AND m.state = 'active' \
    AND m.user_id IS DISTINCT FROM s.sender_id AND (m.muted_until IS NULL OR m.muted_until <= $2) \
    AND m.last_read_no < s.no AND NOT EXISTS (SELECT 1 FROM messaging_block b \
        WHERE b.blocker_id = m.user_id AND b.blocked_id = s.sender_id) ORDER BY m.user_id";
const CONVERSATION_OF: &str = "SELECT conversation_id FROM messaging_message WHERE id = $1 AND deleted_at IS NULL";

/// The services on a database; cheap to clone.
#[derive(Clone)]
pub struct SqlMessaging {
    pub(crate) core: Arc<Core>,
}

impl SqlMessaging {
    /// The services on a database whose migrations have run.
    pub fn new(db: Db, settings: Settings, host: Host) -> Self {
        host.streams.register_unread(Arc::new(UnreadMessages));
        Self { core: Arc::new(Core::new(db, settings, host)) }
    }

    /// The same services with another base URL for the router, and another file store.
    #[must_use]
    pub fn mounted_at(&self, mount: PublicUrl, files: Files) -> Self {
        let host = Host { files, mount, ..self.core.host.clone() };
        Self { core: Arc::new(Core { host, ..(*self.core).clone() }) }
    }

    /// The users to be notified of a message: those who take part, have not muted the conversation, have not blocked the
    /// sender and have not read the message.
    pub async fn recipients(&self, tx: &Tx, message: MessageId) -> Result<Vec<UserId>> {
        Ok(db::scalars(tx, RECIPIENTS, [message.into(), self.core.now().into()]).await?)
    }

    /// Whether a user may read a message that was not deleted.
    pub async fn may_read(&self, user: UserId, message: MessageId) -> Result<bool> {
        let conn = self.core.db.conn();
        let conversation: Option<ConversationId> = db::scalar(conn, CONVERSATION_OF, [message.into()]).await?;
        match conversation {
            Some(conversation) => may_follow(conn, user, conversation).await,
            None => Ok(false),
        }
    }
}

/// Whether a user takes part in a conversation.
pub(crate) async fn may_follow(conn: &impl ConnectionTrait, user: UserId, id: ConversationId) -> Result<bool> {
    match Access::load(conn, user, id).await.and_then(Access::require_active) {
        Ok(_) => Ok(true),
        Err(Error::ConversationNotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
