//! What followers of streams get.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use guildhall_kernel::{
    Person, Timestamp, UserId,
    db::{self, Tx},
    link_preview::LinkPreview,
};
use guildhall_realtime::{About, OwnStream, Seq, StreamName, UnreadCounter, Version};
use sea_orm::ConnectionTrait;
use serde::Serialize;

use super::Core;
use crate::{
    error::Result,
    id::{ConversationId, MessageId},
    model::Message,
};

/// The kind of the streams of conversations.
pub(crate) const KIND: &str = "conversation";

/// The number of unread messages of a user. Conversations that they have not accepted do not count.
const UNREAD: &str = "SELECT CAST(COALESCE(SUM(unread_count), 0) AS bigint) FROM messaging_member \
    WHERE user_id = $1 AND state = 'active' AND unread_count > 0";

/// The people of a conversation whose own streams have a message: not those who have deleted or cleared it.
const READERS: &str = "SELECT a.user_id FROM messaging_member a WHERE a.conversation_id = $1 \
    AND (a.state = 'active' OR a.state = 'requested') AND a.cleared_no < $3 AND NOT EXISTS (SELECT 1 \
    FROM messaging_hidden h WHERE h.user_id = a.user_id AND h.message_id = $2) ORDER BY a.user_id";

/// An event of a stream.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Frame<'a> {
    /// A new message of the conversation.
    Message {
        message: &'a Message,
    },
    /// A new direct message, on the streams of both people.
    DirectMessage {
        message: &'a Message,
    },
    /// A new message of a conversation that the user has not accepted.
    MessageRequest {
        message: &'a Message,
    },
    /// On the stream of the conversation and, in a direct conversation, on the streams of both people. Members can read
    /// earlier revisions, so events with those are kept.
    MessageEdited {
        conversation_id: ConversationId,
        message_id: MessageId,
        no: i64,
        content: &'a str,
        edited_at: Timestamp,
    },
    /// The link preview of a message was fetched; `None` if it is no longer shown. On the stream of the conversation
    /// only.
    MessagePreview {
        message_id: MessageId,
        no: i64,
        link_preview: Option<&'a LinkPreview>,
    },
    /// On the same streams as `MessageEdited`.
    MessageDeleted {
        conversation_id: ConversationId,
        message_id: MessageId,
        no: i64,
    },
    Reaction {
        message_id: MessageId,
        user_id: UserId,
        emoji: &'a str,
        on: bool,
    },
    /// The user has read up to the message with this number.
    Read {
        user_id: UserId,
        up_to: i64,
    },
    MemberJoined {
        user_id: UserId,
    },
    MemberLeft {
        user_id: UserId,
    },
    MemberRemoved {
        user_id: UserId,
        by: UserId,
    },
    ConversationChanged {
        name: &'a str,
        owner_id: Option<UserId>,
    },
    /// Something has changed in a conversation of the user.
    Conversation {
        conversation_id: ConversationId,
        unread_count: i64,
    },
    Typing {
        user: &'a Person,
        on: bool,
    },
}

/// The message of a conversation with a number.
fn about(conversation: ConversationId, no: i64) -> About {
    About { subject: stream(conversation), no }
}

/// The stream of a conversation.
pub(crate) fn stream(conversation: ConversationId) -> StreamName {
    StreamName::new(KIND, conversation.0)
}

/// The number of unread messages of a user.
pub(crate) async fn count_unread(conn: &impl ConnectionTrait, user: UserId) -> Result<i64> {
    Ok(db::scalar(conn, UNREAD, [user.into()]).await?.unwrap_or_default())
}

/// Counts unread messages.
pub(crate) struct UnreadMessages;

#[async_trait]
impl UnreadCounter for UnreadMessages {
    fn name(&self) -> &'static str {
        "messages"
    }

    async fn count(&self, tx: &Tx, user: UserId) -> guildhall_kernel::Result<i64> {
        Ok(count_unread(tx, user).await?)
    }
}

impl Core {
    /// Appends an event to the stream of a conversation.
    pub(crate) async fn append(&self, tx: &Tx, conversation: ConversationId, frame: &Frame<'_>) -> Result<()> {
        self.host.streams.append(tx, &stream(conversation), frame).await?;
        Ok(())
    }

    /// Appends an event about a message to the stream of its conversation.
    pub(crate) async fn append_about(
        &self,
        tx: &Tx,
        conversation: ConversationId,
        no: i64,
        frame: &Frame<'_>,
    ) -> Result<Seq> {
        Ok(self.host.streams.append_about(tx, &stream(conversation), frame, about(conversation, no)).await?)
    }

    /// Appends a change of a message of a conversation of two to the streams of those who can read the message.
    pub(crate) async fn append_to_readers(
        &self,
        tx: &Tx,
        conversation: ConversationId,
        message: MessageId,
        no: i64,
        frame: &Frame<'_>,
    ) -> Result<()> {
        for user in db::scalars(tx, READERS, [conversation.into(), message.into(), no.into()]).await? {
            self.append_to_user(tx, user, conversation, no, frame).await?;
        }
        Ok(())
    }

    /// Erases the content of these messages from the stored events of all streams.
    pub(crate) async fn erase(
        &self,
        tx: &Tx,
        conversation: ConversationId,
        numbers: RangeInclusive<i64>,
    ) -> Result<()> {
        Ok(self.host.streams.erase(tx, &stream(conversation), numbers).await?)
    }

    /// Erases the content of these messages from the stored events of the stream of a user.
    pub(crate) async fn erase_for(
        &self,
        tx: &Tx,
        user: UserId,
        conversation: ConversationId,
        numbers: RangeInclusive<i64>,
    ) -> Result<()> {
        Ok(self.host.streams.erase_in(tx, &OwnStream::of(user), &stream(conversation), numbers).await?)
    }

    /// Appends an event after which a user gets no further event of the conversation.
    pub(crate) async fn append_removal(
        &self,
        tx: &Tx,
        conversation: ConversationId,
        frame: &Frame<'_>,
        user: UserId,
    ) -> Result<()> {
        self.host.streams.append_removal(tx, &stream(conversation), frame, user).await?;
        Ok(())
    }

    /// Appends an event about a message to the stream of a user.
    pub(crate) async fn append_to_user(
        &self,
        tx: &Tx,
        user: UserId,
        conversation: ConversationId,
        no: i64,
        frame: &Frame<'_>,
    ) -> Result<Seq> {
        Ok(self.host.streams.append_about(tx, &OwnStream::of(user), frame, about(conversation, no)).await?)
    }

    /// Notifies a user of the number of their unread messages, after the commit. Of concurrent transactions, the last
    /// one counts what the others have changed.
    pub(crate) async fn publish_unread(&self, tx: &Tx, user: UserId) -> Result<()> {
        let version = self.host.streams.lock(tx, &OwnStream::of(user)).await?;
        Ok(self.host.streams.publish_unread(tx, user, version).await?)
    }

    /// Like [`publish_unread`](Self::publish_unread), after something was appended to the stream of the user, which has
    /// locked it.
    pub(crate) async fn publish_unread_after(&self, tx: &Tx, user: UserId, seq: Seq) -> Result<()> {
        Ok(self.host.streams.publish_unread(tx, user, Version(seq, 0)).await?)
    }

    /// Notifies users of a change in a conversation, after the commit, with the numbers of their unread messages. The
    /// conversation has to be locked.
    pub(crate) async fn publish_change(
        &self,
        tx: &Tx,
        conversation: ConversationId,
        unread: impl IntoIterator<Item = (UserId, i64)> + Send,
    ) -> Result<()> {
        let version = self.host.streams.lock(tx, &stream(conversation)).await?;
        self.publish_change_version(tx, conversation, unread, version)
    }

    /// Like [`publish_change`](Self::publish_change), after something was appended to the stream of the conversation,
    /// which has locked it.
    pub(crate) fn publish_change_after(
        &self,
        tx: &Tx,
        conversation: ConversationId,
        unread: impl IntoIterator<Item = (UserId, i64)>,
        seq: Seq,
    ) -> Result<()> {
        self.publish_change_version(tx, conversation, unread, Version(seq, 0))
    }

    fn publish_change_version(
        &self,
        tx: &Tx,
        conversation_id: ConversationId,
        unread: impl IntoIterator<Item = (UserId, i64)>,
        version: Version,
    ) -> Result<()> {
        let name = stream(conversation_id);
        for (user, unread_count) in unread {
            let frame = Frame::Conversation { conversation_id, unread_count };
            self.host.streams.publish_value(tx, &OwnStream::of(user), &name, version, &frame)?;
        }
        Ok(())
    }
}
