//! The task of a socket.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use guildhall_kernel::{Caller, Kind};
use serde_json::{Map, json};
use tokio::sync::Notify;

use super::{
    Mode,
    limits::Limits,
    outcome::{Outcome, failure},
};
use crate::{
    OwnStream, Started, Streams, Subscription,
    close::Close,
    connections::{Connection, EXPIRY_NOTICE},
};

pub(super) struct Task<'a> {
    pub(super) socket: &'a mut WebSocket,
    pub(super) streams: &'a Streams,
    pub(super) caller: Caller,
    pub(super) connection: &'a Connection,
    pub(super) wake: Arc<Notify>,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) is_many: bool,
    pub(super) limits: Limits,
    pub(super) has_announced_expiry: bool,
}

impl Task<'_> {
    /// Serves the socket until either side closes it. Most sockets wait here: what is seldom done is boxed, so that it
    /// takes no memory meanwhile.
    pub(super) async fn run(&mut self, mode: Mode) -> Outcome {
        Box::pin(self.begin(mode)).await?;
        loop {
            if let Some(reason) = self.connection.closing() {
                return Err(reason);
            }
            tokio::select! {
                biased;
                received = self.socket.recv() => match received {
                    Some(Ok(message)) => {
                        Box::pin(self.take(message)).await?;
                    }
                    Some(Err(error)) => return Err(failure(error)),
                    None => return Ok(()),
                },
                () = self.wake.notified() => {
                    if self.has_to_attend() {
                        Box::pin(self.attend()).await?;
                    }
                }
            }
            self.send_ready().await?;
        }
    }

    async fn begin(&mut self, mode: Mode) -> Outcome {
        self.check_session().await?;
        self.greet(mode).await
    }

    /// Takes what the client has sent, with its current roles.
    async fn take(&mut self, message: Message) -> Outcome {
        self.take_roles().await?;
        self.receive(message).await
    }

    /// Whether the connection itself has something to do, beside what its subscriptions have.
    fn has_to_attend(&self) -> bool {
        self.connection.closing().is_some()
            || self.connection.is_ping_due()
            || self.connection.caller().roles != self.caller.roles
            || self.expires_soon().is_some()
    }

    /// Sends a ping, announces the expiry of the credentials, takes over changed roles, and ends when the socket is to be
    /// closed.
    async fn attend(&mut self) -> Outcome {
        if self.connection.take_ping() {
            self.feed(Message::Ping(Vec::new().into())).await?;
            self.flush().await?;
        }
        self.announce_expiry().await?;
        self.take_roles().await
    }

    /// Checks the session again, now that the socket is registered: one that has ended since the credentials were
    /// checked has not closed it.
    async fn check_session(&mut self) -> Outcome {
        if let Err(error) = self.streams.check_caller(&self.caller).await {
            tracing::error!(%error, "could not check the session of a socket");
            return Err(Close::Internal);
        }
        self.connection.closing().map_or(Ok(()), Err)
    }

    /// Takes over changed roles of the user, and ends the subscriptions that they do not allow. What comes after the end
    /// of the session is not handled.
    async fn take_roles(&mut self) -> Outcome {
        if let Some(reason) = self.connection.closing() {
            return Err(reason);
        }
        let roles = self.connection.caller().roles;
        if self.caller.roles == roles {
            return Ok(());
        }
        self.caller.roles = roles;
        let mut index = 0;
        while let Some(stream) = self.subscriptions.get(index).map(|subscription| subscription.stream().clone()) {
            if self.may_follow(&stream).await? {
                index += 1;
            } else {
                self.end(index).await?;
            }
        }
        self.flush().await
    }

    /// Sends the first frame.
    async fn greet(&mut self, mode: Mode) -> Outcome {
        let settings = self.streams.settings();
        let mut hello = json!({
            "type": "hello",
            "conn_id": self.connection.id,
            "user_id": self.caller.user,
            "server_time": self.streams.clock().now(),
            "heartbeat_s": settings.heartbeat_seconds,
            "limits": { "frame_bytes": settings.frame_bytes, "frames_per_second": settings.frames_per_second },
        });
        let (stream, position, members) = match mode {
            Mode::One { stream, position, hello } => (stream, position, hello),
            Mode::Own { position } => (OwnStream::of(self.caller.user), position, Map::new()),
            Mode::Many => return self.send_json(&hello).await,
        };
        let started = match self.streams.subscribe(&self.caller, &stream, position, &self.wake).await {
            Ok(started) => started,
            Err(error) => {
                if let Some(frame) = error.extension("frame") {
                    self.send_json(frame).await?;
                }
                return Err(match error.kind() {
                    Kind::NotFound => Close::NotFound,
                    Kind::Forbidden => Close::NotAllowed,
                    Kind::Conflict => Close::Gone,
                    _ => Close::Internal,
                });
            }
        };
        let Started { subscription, start, head } = started;
        if let Some(object) = hello.as_object_mut() {
            object.extend(members);
            object.insert("last_seq".to_owned(), json!(head.seq));
            object.insert("epoch".to_owned(), json!(head.epoch));
            object.insert("state".to_owned(), json!(start));
        }
        self.subscriptions.push(subscription);
        self.send_json(&hello).await
    }

    /// In how many seconds the credentials expire, if that is soon and the client does not know.
    fn expires_soon(&self) -> Option<u64> {
        let end = self.caller.expires_at.filter(|_| !self.has_announced_expiry)?;
        let now = self.streams.clock().now();
        (end <= now + EXPIRY_NOTICE).then(|| end.since(now).as_secs())
    }

    /// Announces to the client that its credentials expire soon.
    async fn announce_expiry(&mut self) -> Outcome {
        let Some(seconds) = self.expires_soon() else { return Ok(()) };
        self.has_announced_expiry = true;
        self.send_json(&json!({ "type": "auth_expiring", "in_s": seconds })).await
    }
}
