//! Sending and reading messages.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, CursorQuery, UserId, Window,
    cipher::KeyRing,
    db::{self, Tx},
    idempotency::message_key,
    text,
};
use sea_orm::ConnectionTrait;
use unicode_normalization::UnicodeNormalization;

use super::{
    SqlMessaging,
    attachments::attachment_ids,
    delivery::Prepared,
    extras::Extras,
    link_previews::has_link,
    message_types::check_type_name,
    show::{MessageRow, RevisionRow, messages},
};
use crate::{
    core::{access::Access, receipts::ReadState},
    error::{Error, Result},
    id::{ConversationId, MessageId},
    model::{History, Message, NewMessage, Sent, TEXT, Target},
    service::Messages,
};

const BEFORE: &str = messages!(
    "FROM messaging_message m JOIN messaging_message_type t ON t.id = m.type_id ",
    "WHERE m.conversation_id = $1 AND m.no > $2 AND m.no < $3 AND NOT EXISTS (SELECT 1 FROM messaging_hidden h ",
    "WHERE h.user_id = $4 AND h.message_id = m.id) ORDER BY m.no DESC LIMIT $5"
);
const AFTER: &str = messages!(
    "FROM messaging_message m JOIN messaging_message_type t ON t.id = m.type_id ",
    "WHERE m.conversation_id = $1 AND m.no > $2 AND m.no > $3 AND NOT EXISTS (SELECT 1 FROM messaging_hidden h ",
    "WHERE h.user_id = $4 AND h.message_id = m.id) ORDER BY m.no LIMIT $5"
);
const BY_CLIENT_ID: &str = messages!(
    "FROM messaging_message m JOIN messaging_message_type t ON t.id = m.type_id ",
    "WHERE m.sender_id = $1 AND m.client_id = $2"
);
const FIRST_CONTENT: &str =
    "SELECT content, key_id, created_at FROM messaging_revision WHERE message_id = $1 ORDER BY id LIMIT 1";
const NO_OF: &str = "SELECT no FROM messaging_message WHERE id = $1 AND conversation_id = $2";
const IS_HIDDEN: &str = "SELECT EXISTS (SELECT 1 FROM messaging_hidden WHERE user_id = $1 AND message_id = $2)";

/// How many messages can be read by their ids at once.
const MAX_IDS: usize = 100;

/// The canonical form of the content of a message.
pub(super) fn normalize(content: &str) -> String {
    content.nfc().collect()
}

/// Validates a message.
fn prepare(mut new: NewMessage) -> Result<Prepared> {
    new.content = normalize(&new.content);
    if !new.attachments.is_empty() && text::is_blank(&new.content) {
        new.content.clear();
    }
    new.validate()?;
    let message_type = new.message_type.unwrap_or_else(|| TEXT.to_owned());
    check_type_name(&message_type)?;
    Ok(Prepared {
        has_link: has_link(&new.content),
        content: new.content,
        attachments: new.attachments,
        message_type,
        client_id: message_key(new.client_id, new.key)?,
        reply_to: new.reply_to,
        is_system: false,
    })
}

/// The message that the caller has sent with this client id before. 409 if it was another one.
async fn find_repeated(
    conn: &impl ConnectionTrait,
    keys: &KeyRing,
    caller: &Caller,
    to: Target,
    new: &Prepared,
) -> Result<Option<MessageRow>> {
    let Some(client_id) = &new.client_id else { return Ok(None) };
    let values = [caller.user.into(), client_id.as_str().into()];
    let Some(row) = db::row::<MessageRow>(conn, BY_CLIENT_ID, values).await? else { return Ok(None) };
    let is_same_target = match to {
        Target::User(user) => row.receiver_id == Some(user),
        Target::Conversation(id) => row.conversation_id == id,
    };
    // The content as it was sent, which a deleted message no longer has.
    let first: Option<RevisionRow> = match row.edited_at {
        Some(_) => db::row(conn, FIRST_CONTENT, [row.id.into()]).await?,
        None => None,
    };
    let content = first.map_or_else(|| row.open(keys), |first| first.open(keys, &row));
    // What cannot be read cannot be compared.
    let is_same_content = content.map_or(true, |content| content == new.content);
    let is_same = row.deleted_at.is_some()
        || (is_same_content
            && row.message_type == new.message_type
            && is_same_reply(conn, &row, new.reply_to).await?
            && attachment_ids(conn, row.id).await? == new.attachments);
    if is_same_target && is_same { Ok(Some(row)) } else { Err(Error::IdempotencyMismatch) }
}

/// Whether a message was sent as a reply to this one. A message that is gone cannot be compared.
async fn is_same_reply(conn: &impl ConnectionTrait, row: &MessageRow, reply_to: Option<MessageId>) -> Result<bool> {
    let Some(id) = reply_to.filter(|_| row.reply_to_id.is_none()) else { return Ok(row.reply_to_id == reply_to) };
    Ok(db::scalar::<i64>(conn, NO_OF, [id.into(), row.conversation_id.into()]).await?.is_none())
}

impl SqlMessaging {
    /// Where a message to a conversation goes: to a user, who has to be active, if it is a conversation of two.
    async fn resolve(&self, caller: &Caller, to: Target) -> Result<Target> {
        let receiver = match to {
            Target::User(receiver) => receiver,
            Target::Conversation(id) => {
                let access = Access::load(self.core.db.conn(), caller.user, id).await?;
                match access.other(caller.user) {
                    Some(other) => other,
                    None if access.is_direct() => return Err(Error::UserNotFound),
                    None => return Ok(to),
                }
            }
        };
        self.core.require_active(&[receiver]).await?;
        Ok(Target::User(receiver))
    }

    /// The answer to a message that was sent before.
    async fn show_repeated(&self, caller: &Caller, row: MessageRow) -> Result<Sent> {
        let access = Access::load(self.core.db.conn(), caller.user, row.conversation_id).await?;
        Ok(Sent { message: self.show_message(caller.user, row, &access).await?, duplicate: true })
    }

    /// Stores a message, unless it was sent before.
    async fn deliver(&self, tx: &Tx, caller: &Caller, to: Target, new: &Prepared) -> Result<(MessageRow, bool)> {
        if let Some(row) = find_repeated(tx, &self.core.host.keys, caller, to, new).await? {
            return Ok((row, true));
        }
        let row = match to {
            Target::User(receiver) => self.deliver_direct(tx, caller, receiver, new).await?,
            Target::Conversation(id) => {
                let access = Access::load_for_update(tx, caller.user, id).await?.require_group()?;
                self.deliver_to_group(tx, &access, caller.user, new).await?
            }
        };
        Ok((row, false))
    }

    /// The number of a message in a conversation. 404 if it is not in it.
    pub(super) async fn no_of(
        &self,
        conn: &impl ConnectionTrait,
        conversation: ConversationId,
        id: MessageId,
    ) -> Result<i64> {
        let no = db::scalar(conn, NO_OF, [id.into(), conversation.into()]).await?;
        no.ok_or(Error::MessageNotFound(id))
    }

    /// Reads the messages of a conversation before or after a number; oldest first.
    async fn read(&self, access: &Access, viewer: UserId, window: Window, rows: u64) -> Result<Vec<MessageRow>> {
        let conn = self.core.db.conn();
        let (sql, no) = match window {
            Window::Newest => (BEFORE, i64::MAX),
            Window::Before(no) => (BEFORE, no),
            Window::After(no) => (AFTER, no),
        };
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let values = [access.id.into(), access.cleared_no.into(), no.into(), viewer.into(), rows.into()];
        Ok(db::rows(conn, sql, values).await?)
    }

    /// The part of a conversation that a cursor asks for.
    async fn read_history(&self, caller: &Caller, access: &Access, cursor: &CursorQuery) -> Result<History> {
        let conn = self.core.db.conn();
        let window = match cursor.window() {
            Window::Newest => Window::Newest,
            Window::Before(id) => Window::Before(self.no_of(conn, access.id, MessageId(id)).await?),
            Window::After(id) => Window::After(self.no_of(conn, access.id, MessageId(id)).await?),
        };
        let mut rows = self.read(access, caller.user, window, cursor.rows()).await?;
        let has_more = rows.len() as u64 >= cursor.rows();
        if has_more {
            rows.pop();
        }
        if !matches!(window, Window::After(_)) {
            rows.reverse();
        }
        self.show_history(caller, access, rows, has_more).await
    }

    async fn show_history(
        &self,
        caller: &Caller,
        access: &Access,
        rows: Vec<MessageRow>,
        has_more: bool,
    ) -> Result<History> {
        let conn = self.core.db.conn();
        let other = access.other(caller.user);
        let (read, people) = tokio::join!(ReadState::load(conn, access, caller.user), self.core.people(other));
        let read = read?;
        let messages = self.show_messages(rows, caller.user, |_| read).await?;
        Ok(History { messages, other_user: people?.into_values().next(), has_more })
    }

    /// A message that a user can read, and its conversation. 404 otherwise.
    pub(super) async fn find_message(
        &self,
        conn: &impl ConnectionTrait,
        user: UserId,
        id: MessageId,
    ) -> Result<(MessageRow, Access)> {
        let not_found = Error::MessageNotFound(id);
        let row = MessageRow::load(conn, id).await?;
        let access = match Access::load(conn, user, row.conversation_id).await {
            Err(Error::ConversationNotFound(_)) => return Err(not_found),
            outcome => outcome?,
        };
        let is_hidden = row.no <= access.cleared_no
            || db::scalar::<bool>(conn, IS_HIDDEN, [user.into(), id.into()]).await?.unwrap_or_default();
        if is_hidden { Err(not_found) } else { Ok((row, access)) }
    }

    /// Like [`find_message`](Self::find_message), in this conversation.
    pub(super) async fn find_in(
        &self,
        conn: &impl ConnectionTrait,
        user: UserId,
        conversation: ConversationId,
        id: MessageId,
    ) -> Result<(MessageRow, Access)> {
        let (row, access) = self.find_message(conn, user, id).await?;
        if row.conversation_id == conversation { Ok((row, access)) } else { Err(Error::MessageNotFound(id)) }
    }

    /// A message as a user sees it.
    pub(super) async fn show_message(&self, user: UserId, row: MessageRow, access: &Access) -> Result<Message> {
        let id = row.id;
        let read = ReadState::load(self.core.db.conn(), access, user).await?;
        self.show_messages(vec![row], user, |_| read).await?.pop().ok_or(Error::MessageNotFound(id))
    }
}

#[async_trait]
impl Messages for SqlMessaging {
    async fn send(&self, caller: &Caller, to: Target, new: NewMessage) -> Result<Sent> {
        let new = &prepare(new)?;
        if to == Target::User(caller.user) {
            return Err(Error::field("receiver_id", "You cannot send a message to yourself."));
        }
        self.core.limits.count_send(caller.user)?;
        let to = match self.resolve(caller, to).await {
            Ok(to) => to,
            // The receiver may have been active when it was sent before.
            Err(refused @ (Error::UserNotFound | Error::ConversationNotFound(_))) => {
                let repeated = find_repeated(self.core.db.conn(), &self.core.host.keys, caller, to, new).await;
                let repeated = match repeated {
                    Err(Error::IdempotencyMismatch) => None,
                    outcome => outcome?,
                };
                return self.show_repeated(caller, repeated.ok_or(refused)?).await;
            }
            Err(error) => return Err(error),
        };
        let store = || self.core.write(|tx| async move { self.deliver(&tx, caller, to, new).await });
        let (row, duplicate) = match store().await {
            // A concurrent request with the same client id has stored it.
            Err(error) if new.client_id.is_some() && error.is_duplicate() => store().await?,
            outcome => outcome?,
        };
        if !duplicate {
            let mut message = row.without_reactions(&self.core.host.keys, caller.user, ReadState::default());
            if !new.attachments.is_empty() {
                let conn = self.core.db.conn();
                let mut extras = Extras::load(&self.core, conn, [message.id], caller.user).await?;
                (message.attachments, message.link_preview) = extras.take(message.id);
            }
            return Ok(Sent { message, duplicate });
        }
        self.show_repeated(caller, row).await
    }

    async fn messages_with(&self, caller: &Caller, other: UserId, cursor: CursorQuery) -> Result<History> {
        if other == caller.user {
            return Err(Error::field("user_id", "You cannot exchange messages with yourself."));
        }
        let person = self.core.person(other).await?;
        match Access::of_pair(self.core.db.conn(), caller.user, other).await? {
            Some(access) => self.read_history(caller, &access, &cursor).await,
            None => Ok(History { messages: Vec::new(), other_user: Some(person), has_more: false }),
        }
    }

    async fn messages(&self, caller: &Caller, id: ConversationId, cursor: CursorQuery) -> Result<History> {
        let access = Access::load(self.core.db.conn(), caller.user, id).await?;
        self.read_history(caller, &access, &cursor).await
    }

    async fn messages_around(
        &self,
        caller: &Caller,
        id: ConversationId,
        message: MessageId,
        limit: u64,
    ) -> Result<History> {
        let conn = self.core.db.conn();
        let access = Access::load(conn, caller.user, id).await?;
        let no = self.no_of(conn, id, message).await?;
        let half = limit.clamp(1, 100).div_ceil(2);
        let mut rows = self.read(&access, caller.user, Window::Before(no + 1), half + 1).await?;
        let has_more = rows.len() as u64 > half;
        if has_more {
            rows.pop();
        }
        rows.reverse();
        rows.extend(self.read(&access, caller.user, Window::After(no), half).await?);
        self.show_history(caller, &access, rows, has_more).await
    }

    async fn messages_by_id(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        ids: Vec<MessageId>,
    ) -> Result<Vec<Message>> {
        let conn = self.core.db.conn();
        let access = Access::load(conn, caller.user, conversation).await?;
        let visible = self.visible(caller.user, conversation, ids.into_iter().take(MAX_IDS)).await?;
        let mut rows: Vec<MessageRow> = MessageRow::all(conn, visible).await?.into_values().collect();
        rows.sort_by_key(|row| row.no);
        let read = ReadState::load(conn, &access, caller.user).await?;
        self.show_messages(rows, caller.user, |_| read).await
    }

    async fn message(&self, caller: &Caller, conversation: ConversationId, id: MessageId) -> Result<Message> {
        let (row, access) = self.find_in(self.core.db.conn(), caller.user, conversation, id).await?;
        self.show_message(caller.user, row, &access).await
    }
}
