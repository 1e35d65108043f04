//! The streams of rooms: who may follow them, and what their followers can do.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use guildhall_kernel::{Caller, Error as KernelError, IfMatch, Result, UserId};
use guildhall_realtime::{Command, Seq, StreamHandler, StreamName, read_command, unknown_type};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    core::{Core, access::Access, frames::KIND, log::recorded},
    error::Error,
    id::{MessageId, RoomId},
    model::{CloseReason, MessagePatch, NewMessage},
    service::{Changes, Messages, Reactions, Reading},
    sql::SqlChat,
};

/// Serves the streams `chat/{id}`. The host registers it at its streams, and keeps the services.
#[derive(Clone)]
pub struct ChatStreams {
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
}

#[derive(Deserialize)]
struct React {
    id: MessageId,
    emoji: String,
}

#[derive(Deserialize)]
struct Read {
    seq: Option<i64>,
}

#[derive(Deserialize)]
struct Typing {
    #[serde(default = "yes")]
    on: bool,
}

fn yes() -> bool {
    true
}

impl ChatStreams {
    /// The handler for these services.
    pub fn new(chat: &SqlChat) -> Self {
        Self { core: Arc::downgrade(&chat.core) }
    }

    fn services(&self) -> Result<SqlChat> {
        let core = self.core.upgrade().ok_or_else(|| KernelError::unavailable("the services have stopped"))?;
        Ok(SqlChat { core })
    }
}

impl SqlChat {
    async fn send_in(&self, caller: &Caller, room: RoomId, command: Command) -> Result<Option<Value>> {
        let sent = self.send(caller, room, read_command::<NewMessage>(command)?).await?;
        // The sender gets a new message from the stream.
        if sent.duplicate { serde_json::to_value(sent).map(Some).map_err(KernelError::internal) } else { Ok(None) }
    }

    /// Publishes that a user has begun or stopped typing.
    async fn set_typing(&self, caller: &Caller, room: RoomId, on: bool) -> Result<()> {
        if !on {
            if let Some(person) = self.core.activity.end_typing(room, caller.user) {
                self.publish_typing(room, &person, false);
            }
            return Ok(());
        }
        if !self.core.limits.allow_typing(caller.user, room) {
            return Ok(());
        }
        let now = self.core.now();
        let access =
            Access::load(self.core.db.conn(), caller.user, room).await?.require_participant()?.require_open()?;
        if access.muted_until.is_some_and(|end| end > now) {
            return Ok(());
        }
        let person = self.core.person(caller.user).await?;
        self.publish_typing(room, &person, true);
        self.core.activity.begin_typing(room, person, now);
        Ok(())
    }
}

#[async_trait]
impl StreamHandler for ChatStreams {
    fn kinds(&self) -> Vec<&'static str> {
        vec![KIND]
    }

    async fn visible_after(&self, caller: &Caller, stream: &StreamName) -> Result<Option<Seq>> {
        let Some(room) = stream.id().map(RoomId) else { return Ok(None) };
        let services = self.services()?;
        let access = Access::load(services.core.db.conn(), caller.user, room).await?;
        if !access.is_participant() {
            return Ok(None);
        }
        if !access.is_active {
            // Nothing happens in a room after it is closed.
            let reason = recorded(services.core.db.conn(), room, access.last_seq, "reason").await?;
            let reason = reason.unwrap_or_else(|| CloseReason::Closed.name().to_owned());
            let frame = json!({ "type": "room_closed", "reason": reason });
            return Err(KernelError::from(Error::RoomClosed).with("frame", frame));
        }
        Ok(Some(access.visible_after()))
    }

    async fn handle(
        &self,
        caller: &Caller,
        stream: &StreamName,
        kind: &str,
        command: Command,
    ) -> Result<Option<Value>> {
        let Some(room) = stream.id().map(RoomId) else { return Err(unknown_type(kind)) };
        let services = self.services()?;
        match kind {
            "message" => return services.send_in(caller, room, command).await,
            "edit" => {
                let Edit { id, content } = read_command(command)?;
                services.edit(caller, room, id, MessagePatch { content }, IfMatch::default()).await?;
            }
            "delete" => {
                let Delete { id } = read_command(command)?;
                services.delete(caller, room, id).await?;
            }
            "react" | "unreact" => {
                let React { id, emoji } = read_command(command)?;
                match kind {
                    "react" => services.react(caller, room, id, emoji).await?,
                    _ => services.unreact(caller, room, id, emoji).await?,
                }
            }
            "read" => {
                let Read { seq } = read_command(command)?;
                services.mark_read(caller, room, seq).await?;
            }
            "typing" => {
                let Typing { on } = read_command(command)?;
                services.set_typing(caller, room, on).await?;
            }
            _ => return Err(unknown_type(kind)),
        }
        Ok(None)
    }

    fn watches_followers(&self) -> bool {
        true
    }

    async fn follower_changed(&self, stream: &StreamName, user: UserId) {
        let Some(room) = stream.id().map(RoomId) else { return };
        // Without services, the server stops.
        let Ok(services) = self.services() else { return };
        if let Err(error) = services.update_connection(room, user).await {
            tracing::error!(%error, room.id = %room, "could not record a connection to a room");
        }
    }

    fn peer_follower_changed(&self, stream: &StreamName, user: UserId) {
        if let (Some(room), Some(core)) = (stream.id().map(RoomId), self.core.upgrade()) {
            core.activity.change(room, user, core.now());
        }
    }
}
