//! What a client sends over a socket.

use axum::extract::ws::Message;
use guildhall_kernel::{Credentials, Error, Kind, Result};
use serde::Serialize;
use serde_json::{Value, json};

use super::{incoming::Incoming, outcome::Outcome, task::Task};
use crate::{Start, Started, close::Close, handler::unknown_type};

/// Confirms a subscription.
#[derive(Serialize)]
struct Subscribed<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    stream: &'a str,
    last_seq: i64,
    epoch: i64,
    state: Start,
}

impl Task<'_> {
    /// Handles what the client has sent.
    pub(super) async fn receive(&mut self, message: Message) -> Outcome {
        self.streams.connections().hear(self.connection);
        if !self.limits.allow_frame() {
            return Err(Close::Flooding);
        }
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(Close::Binary),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return Ok(()),
        };
        let (client_id, outcome) = match Incoming::parse(&text) {
            Ok(incoming) => (incoming.client_id.clone(), self.handle(incoming).await),
            Err(error) => (None, Err(error)),
        };
        let error = match outcome {
            Ok(Some(reply)) => return self.send_json(&reply).await,
            Ok(None) => return Ok(()),
            Err(error) => error,
        };
        if error.kind() == Kind::Invalid && !self.limits.allow_bad_frame() {
            return Err(Close::Protocol);
        }
        if matches!(error.kind(), Kind::Internal | Kind::Unavailable) {
            tracing::error!(user.id = %self.caller.user, %error, "a command of a socket failed");
        }
        let mut reply = json!({ "type": "error", "code": error.code(), "detail": error.detail() });
        if let Some(delay) = error.delay() {
            reply["retry_after_ms"] = json!(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        }
        if let Some(client_id) = client_id {
            reply["client_id"] = json!(client_id);
        }
        self.send_json(&reply).await
    }

    /// Handles a frame; returns the reply.
    async fn handle(&mut self, incoming: Incoming) -> Result<Option<Value>> {
        match incoming.kind.as_str() {
            "ping" => Ok(Some(json!({ "type": "pong", "n": incoming.command.get("n") }))),
            "auth" => self.renew(incoming).await,
            "subscribe" if self.is_many => self.subscribe(&incoming).await,
            "unsubscribe" if self.is_many => {
                let stream = incoming.stream()?;
                self.subscriptions.retain(|subscription| *subscription.stream() != stream);
                Ok(Some(json!({ "type": "unsubscribed", "stream": stream.as_str() })))
            }
            _ => self.command(incoming).await,
        }
    }

    /// Passes a command to the domain of its stream, which the client must follow.
    async fn command(&mut self, incoming: Incoming) -> Result<Option<Value>> {
        if self.caller.read_only {
            return Err(Error::new(Kind::Forbidden, "insufficient_scope", "This token is read-only."));
        }
        let stream = if self.is_many {
            incoming.stream()?
        } else {
            let only = self.subscriptions.first().map(|subscription| subscription.stream().clone());
            only.ok_or_else(|| unknown_type(&incoming.kind))?
        };
        if !self.subscriptions.iter().any(|subscription| *subscription.stream() == stream) {
            return Err(Error::new(Kind::Forbidden, "not_subscribed", "Subscribe to the stream first."));
        }
        let handler = self.streams.handlers().get(&stream).ok_or_else(|| unknown_type(&incoming.kind))?;
        let reply = handler.handle(&self.caller, &stream, &incoming.kind, incoming.command).await?;
        Ok(reply.map(|mut reply| {
            if self.is_many
                && let Some(object) = reply.as_object_mut()
            {
                object.insert("stream".to_owned(), json!(stream.as_str()));
            }
            reply
        }))
    }

    async fn subscribe(&mut self, incoming: &Incoming) -> Result<Option<Value>> {
        let stream = incoming.stream()?;
        let position = incoming.position()?;
        let others = self.subscriptions.iter().filter(|subscription| *subscription.stream() != stream).count();
        if others >= self.streams.settings().streams_per_socket {
            return Err(Error::new(Kind::Conflict, "too_many_streams", "This socket follows too many streams."));
        }
        let Started { subscription, start, head } =
            self.streams.subscribe(&self.caller, &stream, position, &self.wake).await?;
        // It replaces an earlier one, which goes on if it fails.
        self.subscriptions.retain(|earlier| *earlier.stream() != stream);
        self.subscriptions.push(subscription);
        let subscribed = Subscribed {
            kind: "subscribed",
            stream: stream.as_str(),
            last_seq: head.seq,
            epoch: head.epoch,
            state: start,
        };
        serde_json::to_value(subscribed).map(Some).map_err(Error::internal)
    }

    /// Replaces the credentials by fresh ones of the same user.
    async fn renew(&mut self, incoming: Incoming) -> Result<Option<Value>> {
        let missing = || Error::field("token", "This field is required.");
        let token = incoming.token.ok_or_else(missing)?;
        let caller = self.streams.auth().authenticate(Credentials::Bearer(token)).await?;
        if caller.user != self.caller.user {
            return Err(Error::new(Kind::Forbidden, "other_user", "The token belongs to another user."));
        }
        self.caller = caller;
        self.connection.renew(&caller);
        // The session may have ended since the token was checked.
        self.streams.check_caller(&caller).await?;
        self.has_announced_expiry = false;
        Ok(Some(json!({ "type": "authenticated", "expires_at": caller.expires_at })))
    }
}
