//! Editing and deleting messages.

use std::time::Duration;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, IfMatch, Timestamp, UserId,
    cipher::Sealed,
    db::{self, Tx},
};
use sea_orm::{ActiveValue::NotSet, FromQueryResult, Set};

use super::{
    SqlMessaging,
    messages::normalize,
    show::{MessageRow, RevisionRow},
    words,
};
use crate::{
    core::{access::Access, blocks::is_blocked, content::MessageContext, frames::Frame},
    entity::{conversation, revision},
    error::{Error, Result},
    event::{MessageDeleted, MessageEdited},
    id::{ConversationId, MessageId},
    model::{DeleteFor, Message, MessagePatch, Revision},
    service::Changes,
};

/// How often a message can be edited.
const MAX_REVISIONS: i64 = 100;

const EDIT: &str = "UPDATE messaging_message SET content = $2, key_id = $3, edited_at = $4 WHERE id = $1";
const ERASE: &str = "UPDATE messaging_message SET content = '', key_id = NULL, deleted_at = $2 WHERE id = $1";
const ERASE_REVISIONS: &str = "DELETE FROM messaging_revision WHERE message_id = $1";
const ERASE_ATTACHMENTS: &str = "DELETE FROM messaging_attachment WHERE message_id = $1";
const ERASE_PREVIEW: &str = "DELETE FROM messaging_link_preview WHERE message_id = $1";
const ERASE_REACTIONS: &str = "DELETE FROM messaging_reaction WHERE message_id = $1";
const COUNT_REVISIONS: &str = "SELECT COUNT(*) FROM messaging_revision WHERE message_id = $1";
const REVISIONS: &str =
    "SELECT content, key_id, created_at FROM messaging_revision WHERE message_id = $1 ORDER BY id LIMIT 100";
/// A message that was not read no longer counts.
const FORGET_UNREAD: &str = "UPDATE messaging_member SET unread_count = unread_count - 1 \
    WHERE conversation_id = $1 AND user_id IS DISTINCT FROM $2 AND last_read_no < $3 AND cleared_no < $3 \
    AND joined_no < $3 AND unread_count > 0 AND NOT EXISTS (SELECT 1 FROM messaging_hidden h \
    WHERE h.user_id = messaging_member.user_id AND h.message_id = $4) RETURNING user_id, unread_count";
const HIDE: &str = "INSERT INTO messaging_hidden (user_id, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const FORGET_OWN_UNREAD: &str = "UPDATE messaging_member SET unread_count = unread_count - 1 \
    WHERE conversation_id = $1 AND user_id = $2 AND last_read_no < $3 AND unread_count > 0 \
    RETURNING user_id, unread_count";
/// The newest message that a member has not deleted takes the place of one that they have.
const NEXT_IN_INBOX: &str = "UPDATE messaging_member SET last_message_id = (SELECT m.id FROM messaging_message m \
    WHERE m.conversation_id = $1 AND m.no > messaging_member.cleared_no AND NOT EXISTS (SELECT 1 \
    FROM messaging_hidden h WHERE h.user_id = $2 AND h.message_id = m.id) ORDER BY m.no DESC LIMIT 1) \
    WHERE conversation_id = $1 AND user_id = $2 AND last_message_id = $3";

#[derive(FromQueryResult)]
struct UnreadRow {
    user_id: UserId,
    unread_count: i64,
}

impl SqlMessaging {
    /// Locks a conversation, and loads one of its messages, which the user has to be able to read.
    pub(super) async fn load_message(
        &self,
        tx: &Tx,
        user: UserId,
        conversation: ConversationId,
        id: MessageId,
    ) -> Result<(MessageRow, Access)> {
        db::lock::<conversation::Entity>(tx, conversation).await?;
        self.find_in(tx, user, conversation, id).await
    }

    /// Requires that the caller may still change a message for everybody.
    fn require_changeable(&self, caller: &Caller, row: &MessageRow, now: Timestamp) -> Result<()> {
        if row.sender_id != Some(caller.user) {
            return Err(Error::NotSender);
        }
        if row.is_system || row.deleted_at.is_some() {
            return Err(Error::NotChangeable);
        }
        let window = Duration::from_secs(u64::from(self.core.settings.edit_hours) * 3600);
        if now.since(row.created_at) > window { Err(Error::TooLate) } else { Ok(()) }
    }

    async fn store_edit(
        &self,
        tx: &Tx,
        row: &MessageRow,
        access: &Access,
        content: &str,
        now: Timestamp,
    ) -> Result<()> {
        let revisions = db::scalar::<i64>(tx, COUNT_REVISIONS, [row.id.into()]).await?.unwrap_or_default();
        if revisions >= MAX_REVISIONS {
            return Err(Error::TooLate);
        }
        let revision = revision::ActiveModel {
            id: NotSet,
            message_id: Set(row.id),
            content: Set(row.content.clone()),
            key_id: Set(row.key_id.clone()),
            created_at: Set(row.version()),
        };
        db::insert_only(&tx.deferred(), revision).await?;
        let pair = row.sender_id.zip(row.receiver_id).map(|(sender, receiver)| [sender, receiver]);
        let context = MessageContext { written_at: now, ..row.context() };
        let Sealed { text, key_id } = self.core.host.keys.seal(content.to_owned(), context)?;
        let values = [row.id.into(), text.into(), key_id.into(), now.into()];
        db::execute(&tx.deferred(), EDIT, values).await?;
        words::replace(tx, row.id, content, access.id, pair).await?;
        let frame = Frame::MessageEdited {
            conversation_id: access.id,
            message_id: row.id,
            no: row.no,
            content,
            edited_at: now,
        };
        self.core.append_about(tx, access.id, row.no, &frame).await?;
        if access.is_direct() {
            self.core.append_to_readers(tx, row.conversation_id, row.id, row.no, &frame).await?;
        }
        self.replace_preview(tx, row, content, now).await?;
        Ok(tx.emit(&MessageEdited { message: row.id, conversation: access.id }).await?)
    }

    /// Deletes a message for everybody; the row stays, without its content, and so do the events about it.
    async fn erase(&self, tx: &Tx, row: &MessageRow, access: &Access, now: Timestamp) -> Result<()> {
        let conversation = access.id;
        db::execute(&tx.deferred(), ERASE, [row.id.into(), now.into()]).await?;
        words::remove(tx, row.id).await?;
        db::execute(&tx.deferred(), ERASE_REVISIONS, [row.id.into()]).await?;
        for statement in [ERASE_REACTIONS, ERASE_ATTACHMENTS, ERASE_PREVIEW] {
            db::execute(&tx.deferred(), statement, [row.id.into()]).await?;
        }
        let values = [conversation.into(), row.sender_id.into(), row.no.into(), row.id.into()];
        let mut unread: Vec<UnreadRow> = db::rows(tx, FORGET_UNREAD, values).await?;
        unread.sort_by_key(|row| row.user_id);
        self.core.erase(tx, conversation, row.no..=row.no).await?;
        let frame = Frame::MessageDeleted { conversation_id: conversation, message_id: row.id, no: row.no };
        let seq = self.core.append_about(tx, conversation, row.no, &frame).await?;
        if access.is_direct() {
            self.core.append_to_readers(tx, row.conversation_id, row.id, row.no, &frame).await?;
        }
        let counts = unread.iter().map(|row| (row.user_id, row.unread_count));
        self.core.publish_change_after(tx, conversation, counts, seq)?;
        if access.is_direct() {
            for row in unread {
                self.core.publish_unread(tx, row.user_id).await?;
            }
        }
        Ok(tx.emit(&MessageDeleted { message: row.id, conversation }).await?)
    }

    /// Deletes a message for one person.
    async fn hide(&self, tx: &Tx, user: UserId, row: &MessageRow, conversation: ConversationId) -> Result<()> {
        let hidden = db::execute(tx, HIDE, [user.into(), row.id.into()]).await?;
        if hidden == 0 {
            return Ok(());
        }
        let mut unread: Vec<UnreadRow> = Vec::new();
        if row.sender_id != Some(user) && row.deleted_at.is_none() {
            let values = [conversation.into(), user.into(), row.no.into()];
            unread = db::rows(tx, FORGET_OWN_UNREAD, values).await?;
        }
        db::execute(&tx.deferred(), NEXT_IN_INBOX, [conversation.into(), user.into(), row.id.into()]).await?;
        self.core.erase_for(tx, user, conversation, row.no..=row.no).await?;
        if !unread.is_empty() {
            let counts = unread.iter().map(|row| (row.user_id, row.unread_count));
            self.core.publish_change(tx, conversation, counts).await?;
            self.core.publish_unread(tx, user).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Changes for SqlMessaging {
    async fn edit(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        id: MessageId,
        patch: MessagePatch,
        known: IfMatch,
    ) -> Result<Message> {
        let patch = MessagePatch { content: normalize(&patch.content) };
        patch.validate()?;
        self.core.limits.count_send(caller.user)?;
        let (now, content, known) = (self.core.now(), patch.content.as_str(), &known);
        self.core
            .write(|tx| async move {
                let (row, access) = self.load_message(&tx, caller.user, conversation, id).await?;
                self.require_changeable(caller, &row, now)?;
                known.check(row.version())?;
                if let Some(other) = access.other(caller.user)
                    && is_blocked(&tx, caller.user, other).await?
                {
                    return Err(Error::Blocked);
                }
                if row.open(&self.core.host.keys).as_deref() == Ok(content) {
                    return Ok(());
                }
                self.store_edit(&tx, &row, &access, content, now).await
            })
            .await?;
        let (row, access) = self.find_in(self.core.db.conn(), caller.user, conversation, id).await?;
        self.show_message(caller.user, row, &access).await
    }

    async fn delete(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        id: MessageId,
        whom: DeleteFor,
    ) -> Result<()> {
        let now = self.core.now();
        self.core
            .write(|tx| async move {
                let (row, access) = self.load_message(&tx, caller.user, conversation, id).await?;
                if whom == DeleteFor::Me {
                    return self.hide(&tx, caller.user, &row, access.id).await;
                }
                self.require_changeable(caller, &row, now)?;
                self.erase(&tx, &row, &access, now).await
            })
            .await
    }

    async fn revisions(&self, caller: &Caller, conversation: ConversationId, id: MessageId) -> Result<Vec<Revision>> {
        let conn = self.core.db.conn();
        let (message, _) = self.find_in(conn, caller.user, conversation, id).await?;
        let rows = db::rows::<RevisionRow>(conn, REVISIONS, [id.into()]).await?;
        Ok(rows.into_iter().map(|row| row.show(&self.core.host.keys, &message)).collect())
    }
}
