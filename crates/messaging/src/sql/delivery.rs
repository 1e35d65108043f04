//! Storing a message: in one transaction with the counters, the inbox rows and the events of all members.

use guildhall_kernel::{
    Caller, Quota, Timestamp, UserId,
    cipher::{KeyRing, Sealed},
    db::{self, Sql, Tx},
};
use guildhall_realtime::Seq;
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{SqlMessaging, message_types::find_active_type, show::MessageRow, words};
use crate::{
    core::{
        access::{Access, pair},
        blocks::is_blocked,
        content::MessageContext,
        frames::Frame,
    },
    entity::member::MemberState,
    error::{Error, Result},
    event::{MessageSent, RequestReceived},
    id::{AttachmentId, ConversationId, MessageId, MessageTypeId},
    model::Message,
    search,
};

/// Takes the next number of the conversation of two users. Its row stays locked until the transaction ends.
const TAKE_DIRECT: &str = "UPDATE messaging_conversation SET last_no = last_no + 1 \
    WHERE pair_low = $1 AND pair_high = $2 RETURNING id, last_no";
/// Creates the conversation of two users, or takes its next number if a concurrent transaction has created it.
const CREATE_DIRECT: &str = "INSERT INTO messaging_conversation \
    (kind, name, pair_low, pair_high, last_no, member_count, created_at, updated_at) \
    VALUES ('direct', '', $1, $2, 1, 2, $3, $3) ON CONFLICT (pair_low, pair_high) \
    DO UPDATE SET last_no = messaging_conversation.last_no + 1 RETURNING id, last_no";
const TAKE_GROUP: &str = "UPDATE messaging_conversation SET last_no = last_no + 1 WHERE id = $1 RETURNING id, last_no";
const ADD_PAIR: &str = "INSERT INTO messaging_member (conversation_id, user_id, state, joined_no, joined_at, \
    last_read_no, cleared_no, unread_count, is_marked_unread) VALUES ($1, $2, 'active', 0, $5, 0, 0, 0, false), \
    ($1, $3, $4, 0, $5, 0, 0, 0, false)";
const ACCEPTS_REQUESTS_ONLY: &str =
    "SELECT EXISTS (SELECT 1 FROM messaging_settings WHERE user_id = $1 AND accepts_requests_only)";

/// The message is the newest one of the other members. It brings an archived conversation back, unless it is muted.
/// Whoever has declined the conversation or left it gets nothing.
const RECEIVE: &str = "UPDATE messaging_member SET unread_count = unread_count + 1, last_message_id = $3, \
    archived_at = CASE WHEN muted_until > $4 THEN archived_at ELSE NULL END \
    WHERE conversation_id = $1 AND user_id <> $2 AND (state = 'active' OR state = 'requested') \
    RETURNING user_id, state, unread_count";
/// To send a message is to accept the conversation. What has not reached whoever had declined it counts as read.
const OWN: &str = "UPDATE messaging_member SET last_message_id = $3, archived_at = NULL, draft = NULL, \
    draft_key_id = NULL, last_read_no = CASE WHEN state = 'left' THEN $4 ELSE last_read_no END, state = 'active' \
    WHERE conversation_id = $1 AND user_id = $2";
const IS_IN_CONVERSATION: &str =
    "SELECT EXISTS (SELECT 1 FROM messaging_message WHERE id = $1 AND conversation_id = $2)";

/// Inserts a message; `$12` are its terms for the search.
const INSERT: Sql = Sql::per_backend(
    "INSERT INTO messaging_message (conversation_id, no, sender_id, receiver_id, type_id, content, key_id, is_system, \
     reply_to_id, client_id, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id",
    "INSERT INTO messaging_message (conversation_id, no, sender_id, receiver_id, type_id, content, key_id, is_system, \
     reply_to_id, client_id, created_at, words) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
     strip(to_tsvector('simple', $12))) RETURNING id",
);

/// A message that was validated.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) content: String,
    pub(super) attachments: Vec<AttachmentId>,
    /// Whether the content links to a page.
    pub(super) has_link: bool,
    pub(super) message_type: String,
    pub(super) client_id: Option<String>,
    pub(super) reply_to: Option<MessageId>,
    pub(super) is_system: bool,
}

/// The conversation of a new message, and the number it takes.
#[derive(Clone, Copy, FromQueryResult)]
struct Slot {
    id: ConversationId,
    last_no: i64,
}

/// A member who has received a message.
#[derive(FromQueryResult)]
struct Receiver {
    user_id: UserId,
    state: MemberState,
    unread_count: i64,
}

/// Whether a user has to accept new conversations.
pub(super) async fn accepts_requests_only(conn: &impl ConnectionTrait, user: UserId) -> Result<bool> {
    Ok(db::scalar(conn, ACCEPTS_REQUESTS_ONLY, [user.into()]).await?.unwrap_or_default())
}

async fn insert_message(
    tx: &Tx,
    keys: &KeyRing,
    slot: Slot,
    (sender, receiver): (UserId, Option<UserId>),
    type_id: MessageTypeId,
    new: &Prepared,
    now: Timestamp,
) -> Result<MessageRow> {
    if let Some(reply_to) = new.reply_to {
        let values = [reply_to.into(), slot.id.into()];
        if !db::scalar::<bool>(tx, IS_IN_CONVERSATION, values).await?.unwrap_or_default() {
            return Err(Error::field("reply_to", "There is no such message in this conversation."));
        }
    }
    let people = receiver.map(|receiver| [sender, receiver]);
    let terms = if new.is_system { String::new() } else { search::document(&new.content, slot.id, people) };
    // In the transaction, because only there its number is known. It takes a few microseconds.
    let context = MessageContext { conversation: slot.id, no: slot.last_no, written_at: now };
    let Sealed { text, key_id } = keys.seal(new.content.clone(), context)?;
    let values = [
        slot.id.into(),
        slot.last_no.into(),
        sender.into(),
        receiver.into(),
        type_id.into(),
        text.into(),
        key_id.into(),
        new.is_system.into(),
        new.reply_to.into(),
        new.client_id.clone().into(),
        now.into(),
        terms.as_str().into(),
    ];
    let id: Option<MessageId> = db::scalar(tx, INSERT, values).await?;
    let id = id.ok_or(sea_orm::DbErr::RecordNotInserted)?;
    if !new.is_system {
        words::add(tx, id, &terms).await?;
    }
    Ok(MessageRow {
        id,
        conversation_id: slot.id,
        no: slot.last_no,
        sender_id: Some(sender),
        receiver_id: receiver,
        message_type: new.message_type.clone(),
        content: new.content.clone(),
        key_id: None,
        is_system: new.is_system,
        reply_to_id: new.reply_to,
        client_id: new.client_id.clone(),
        created_at: now,
        edited_at: None,
        deleted_at: None,
    })
}

/// Updates the inbox rows of the members; returns those of the others.
async fn update_members(
    tx: &Tx,
    slot: Slot,
    sender: UserId,
    message: MessageId,
    now: Timestamp,
) -> Result<Vec<Receiver>> {
    let of_sender = || [slot.id.into(), sender.into(), message.into()];
    let [id, user, newest] = of_sender();
    db::execute(&tx.deferred(), OWN, [id, user, newest, slot.last_no.into()]).await?;
    let [id, user, newest] = of_sender();
    Ok(db::rows(tx, RECEIVE, [id, user, newest, now.into()]).await?)
}

impl SqlMessaging {
    /// Stores a message to another user, and begins their conversation if there is none.
    pub(super) async fn deliver_direct(
        &self,
        tx: &Tx,
        caller: &Caller,
        receiver: UserId,
        new: &Prepared,
    ) -> Result<MessageRow> {
        let (now, sender, keys) = (self.core.now(), caller.user, &self.core.host.keys);
        let type_id = find_active_type(tx, &new.message_type).await?;
        let slot = self.take_direct(tx, caller, receiver, now).await?;
        let row = insert_message(tx, keys, slot, (sender, Some(receiver)), type_id, new, now).await?;
        let receivers = update_members(tx, slot, sender, row.id, now).await?;
        let message = self.complete(tx, &row, sender, new).await?;
        self.core.append_about(tx, slot.id, slot.last_no, &Frame::Message { message: &message }).await?;
        let state = receivers.first().map(|receiver| receiver.state);
        // In the order of the ids, as everybody locks the streams of users.
        let (low, high) = pair(sender, receiver);
        let mut appended = None;
        for user in [low, high] {
            let state = if user == sender { Some(MemberState::Active) } else { state };
            let seq = self.append_direct(tx, user, &message, state).await?;
            appended = if user == receiver { seq } else { appended };
        }
        // Not before: a block locks the streams of both, so that none is acknowledged between this and the commit.
        if is_blocked(tx, sender, receiver).await? {
            return Err(Error::Blocked);
        }
        let (message, conversation) = (row.id, slot.id);
        match state {
            Some(MemberState::Active) => {
                if let Some(seq) = appended {
                    self.core.publish_unread_after(tx, receiver, seq).await?;
                }
                let receiver = Some(receiver);
                tx.emit(&MessageSent { message, conversation, sender, receiver }).await?;
            }
            Some(MemberState::Requested) if receivers.iter().all(|receiver| receiver.unread_count == 1) => {
                let message = Some(message);
                tx.emit(&RequestReceived { message, conversation, sender, receiver }).await?;
            }
            _ => {}
        }
        Ok(row)
    }

    /// Appends a direct message to the stream of one of the two people.
    async fn append_direct(
        &self,
        tx: &Tx,
        user: UserId,
        message: &Message,
        state: Option<MemberState>,
    ) -> Result<Option<Seq>> {
        let frame = match state {
            Some(MemberState::Active) => Frame::DirectMessage { message },
            Some(MemberState::Requested) => Frame::MessageRequest { message },
            _ => return Ok(None),
        };
        Ok(Some(self.core.append_to_user(tx, user, message.conversation_id, message.no, &frame).await?))
    }

    /// Takes the next number of the conversation with a user, and creates it if there is none.
    async fn take_direct(&self, tx: &Tx, caller: &Caller, receiver: UserId, now: Timestamp) -> Result<Slot> {
        let (low, high) = pair(caller.user, receiver);
        if let Some(slot) = db::row(tx, TAKE_DIRECT, [low.into(), high.into()]).await? {
            return Ok(slot);
        }
        let slot: Option<Slot> = db::row(tx, CREATE_DIRECT, [low.into(), high.into(), now.into()]).await?;
        let slot = slot.ok_or(sea_orm::DbErr::RecordNotInserted)?;
        if slot.last_no > 1 {
            return Ok(slot);
        }
        self.begin_quota().consume(tx, caller.user, 1, now).await?;
        let has_to_accept = !caller.roles.is_staff() && accepts_requests_only(tx, receiver).await?;
        let state = if has_to_accept { "requested" } else { "active" };
        let values = [slot.id.into(), caller.user.into(), receiver.into(), state.into(), now.into()];
        db::execute(&tx.deferred(), ADD_PAIR, values).await?;
        Ok(slot)
    }

    /// The limit on new conversations.
    pub(super) fn begin_quota(&self) -> Quota {
        Quota::per_day("conversations", self.core.settings.conversations_per_day.into())
    }

    /// Stores a message to a group, which has to be locked.
    pub(super) async fn deliver_to_group(
        &self,
        tx: &Tx,
        access: &Access,
        sender: UserId,
        new: &Prepared,
    ) -> Result<MessageRow> {
        let (now, keys) = (self.core.now(), &self.core.host.keys);
        let type_id = find_active_type(tx, &new.message_type).await?;
        let slot: Option<Slot> = db::row(tx, TAKE_GROUP, [access.id.into()]).await?;
        let slot = slot.ok_or(Error::ConversationNotFound(access.id))?;
        let row = insert_message(tx, keys, slot, (sender, None), type_id, new, now).await?;
        let receivers = update_members(tx, slot, sender, row.id, now).await?;
        let message = self.complete(tx, &row, sender, new).await?;
        let seq = self.core.append_about(tx, slot.id, slot.last_no, &Frame::Message { message: &message }).await?;
        let active = receivers.into_iter().filter(|receiver| receiver.state == MemberState::Active);
        let counts = active.map(|receiver| (receiver.user_id, receiver.unread_count));
        self.core.publish_change_after(tx, slot.id, counts, seq)?;
        if !new.is_system {
            let (message, conversation) = (row.id, slot.id);
            tx.emit(&MessageSent { message, conversation, sender, receiver: None }).await?;
        }
        Ok(row)
    }
}
