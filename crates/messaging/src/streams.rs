//! The streams of conversations: who may follow them, and what their followers can do.

use std::{
    collections::HashSet,
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use guildhall_kernel::{Caller, Error, IfMatch, Result};
use guildhall_realtime::{Command, Frame as Event, Seq, StreamHandler, StreamName, read_command, unknown_type};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    core::{
        Core,
        access::Access,
        blocks::{is_blocked, is_blocked_in},
        frames::{Frame, KIND, stream},
    },
    id::{ConversationId, MessageId},
    model::{DeleteFor, MessagePatch, NewMessage, Target},
    service::{Changes, Messages, Reactions, Reading},
    sql::{SqlMessaging, may_follow},
};

/// Serves the streams `conversation/{id}`. The host registers it at its streams, and keeps the services.
#[derive(Clone)]
pub struct MessagingStreams {
    // Weak, because the services own the streams, which own this.
    core: Weak<Core>,
}

#[derive(Deserialize)]
struct Edit {
    id: MessageId,
    content: String,
}

#[derive(Deserialize)]
struct Delete {
    id: MessageId,
    #[serde(default, rename = "for")]
    whom: DeleteFor,
}

#[derive(Deserialize)]
struct React {
    id: MessageId,
    emoji: String,
}

#[derive(Deserialize)]
struct Read {
    #[serde(default, alias = "up_to")]
    id: Option<MessageId>,
}

#[derive(Deserialize)]
struct Typing {
    #[serde(default = "yes")]
    on: bool,
}

/// What is needed of the events of a stream.
#[derive(Deserialize)]
struct Stored {
    #[serde(rename = "type")]
    kind: String,
    message: Option<StoredMessage>,
    message_id: Option<MessageId>,
}

#[derive(Deserialize)]
struct StoredMessage {
    id: MessageId,
}

/// The message that an event is about, unless it says that it was deleted.
fn message_of(event: &Event) -> Option<MessageId> {
    let stored: Stored = serde_json::from_str(event.body()).ok()?;
    let message = stored.message_id.or(stored.message.map(|message| message.id));
    message.filter(|_| stored.kind != "message_deleted")
}

fn yes() -> bool {
    true
}

impl MessagingStreams {
    /// The handler for these services.
    pub fn new(messaging: &SqlMessaging) -> Self {
        Self { core: Arc::downgrade(&messaging.core) }
    }

    fn services(&self) -> Result<SqlMessaging> {
        let core = self.core.upgrade().ok_or_else(|| Error::unavailable("the services have stopped"))?;
        Ok(SqlMessaging { core })
    }
}

impl SqlMessaging {
    async fn send_in(&self, caller: &Caller, id: ConversationId, command: Command) -> Result<Option<Value>> {
        let sent = self.send(caller, Target::Conversation(id), read_command::<NewMessage>(command)?).await?;
        // The sender gets a new message from the stream.
        Ok(sent.duplicate.then(|| json!({ "type": "message", "message": sent.message, "duplicate": true })))
    }

    /// Notifies the others that a user has begun or stopped typing.
    async fn publish_typing(&self, caller: &Caller, id: ConversationId, on: bool) -> Result<()> {
        if !self.core.limits.allow_typing(caller.user, id, on) {
            return Ok(());
        }
        let conn = self.core.db.conn();
        let access = Access::load(conn, caller.user, id).await?.require_active()?;
        let is_hidden = match access.other(caller.user) {
            Some(other) => is_blocked(conn, caller.user, other).await?,
            None => is_blocked_in(conn, id, caller.user).await?,
        };
        if !is_hidden {
            let user = &self.core.person(caller.user).await?;
            self.core.host.streams.publish_transient(&stream(id), &Frame::Typing { user, on }, Some(caller.user));
        }
        Ok(())
    }
}

#[async_trait]
impl StreamHandler for MessagingStreams {
    fn kinds(&self) -> Vec<&'static str> {
        vec![KIND]
    }

    async fn visible_after(&self, caller: &Caller, stream: &StreamName) -> Result<Option<Seq>> {
        let Some(id) = stream.id() else { return Ok(None) };
        let services = self.services()?;
        let may_follow = may_follow(services.core.db.conn(), caller.user, ConversationId(id)).await?;
        Ok(may_follow.then_some(0))
    }

    /// What is about messages that the caller has deleted for themselves. What was deleted for everybody is erased.
    async fn hidden(&self, caller: &Caller, stream: &StreamName, events: &[Arc<Event>]) -> Result<HashSet<Seq>> {
        let about: Vec<(Seq, MessageId)> =
            events.iter().filter_map(|event| Some((event.seq, message_of(event)?))).collect();
        let Some(id) = stream.id().filter(|_| !about.is_empty()) else { return Ok(HashSet::new()) };
        let messages: HashSet<MessageId> = about.iter().map(|(_, message)| *message).collect();
        let visible = self.services()?.visible(caller.user, ConversationId(id), messages).await?;
        Ok(about.into_iter().filter(|(_, message)| !visible.contains(message)).map(|(seq, _)| seq).collect())
    }

    async fn handle(
        &self,
        caller: &Caller,
        stream: &StreamName,
        kind: &str,
        command: Command,
    ) -> Result<Option<Value>> {
        let Some(id) = stream.id().map(ConversationId) else { return Err(unknown_type(kind)) };
        let services = self.services()?;
        match kind {
            "message" => return services.send_in(caller, id, command).await,
            "edit" => {
                let Edit { id: message, content } = read_command(command)?;
                services.edit(caller, id, message, MessagePatch { content }, IfMatch::default()).await?;
            }
            "delete" => {
                let Delete { id: message, whom } = read_command(command)?;
                services.delete(caller, id, message, whom).await?;
            }
            "react" | "unreact" => {
                let React { id: message, emoji } = read_command(command)?;
                match kind {
                    "react" => services.react(caller, id, message, emoji).await?,
                    _ => services.unreact(caller, id, message, emoji).await?,
                }
            }
            "read" => {
                let Read { id: up_to } = read_command(command)?;
                services.mark_conversation_read(caller, Target::Conversation(id), up_to).await?;
            }
            "typing" => {
                let Typing { on } = read_command(command)?;
                services.publish_typing(caller, id, on).await?;
            }
            _ => return Err(unknown_type(kind)),
        }
        Ok(None)
    }
}
