//! Who may follow a stream, and what clients may do in it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use guildhall_kernel::{Caller, Error, Kind, Result, UserId};
use serde::de::DeserializeOwned;

use crate::{Frame, Seq, StreamName};

/// What a client has sent to a stream: a JSON object.
pub type Command = serde_json::Map<String, serde_json::Value>;

/// Serves the streams of some kinds. The domain that appends to them implements it.
#[async_trait]
pub trait StreamHandler: Send + Sync + 'static {
    /// The kinds of streams: `room`.
    fn kinds(&self) -> Vec<&'static str>;

    /// The number up to which the caller may see no events; `None` if they may not follow the stream. Called again only
    /// when a socket subscribes: to end a subscription, append an event that removes the user, or have access
    /// [checked again](crate::Streams::append_check). An error of the kind `Conflict` means that the stream has ended;
    /// its member `frame` is sent before the socket is closed.
    async fn visible_after(&self, caller: &Caller, stream: &StreamName) -> Result<Option<Seq>>;

    /// The event, a JSON object, that is appended when somebody follows a stream that has not
    /// [begun](crate::Streams::has_begun). By default, there is none.
    fn first_event(&self) -> Option<serde_json::Value> {
        None
    }

    /// The numbers of those of these events that the caller may no longer see. Called, once for each page, with what a
    /// client that resumes gets from the time before; hidden events are sent as `{"type": "hidden"}`. By default, none
    /// is.
    async fn hidden(&self, caller: &Caller, stream: &StreamName, events: &[Arc<Frame>]) -> Result<HashSet<Seq>> {
        let _ = (caller, stream, events);
        Ok(HashSet::new())
    }

    /// Handles what a subscriber has sent; `kind` is its type, `message` for instance. Returns what only this socket gets.
    /// By default, every type is unknown.
    async fn handle(
        &self,
        caller: &Caller,
        stream: &StreamName,
        kind: &str,
        command: Command,
    ) -> Result<Option<serde_json::Value>> {
        let _ = (caller, stream, command);
        Err(unknown_type(kind))
    }

    /// Whether [`follower_changed`](Self::follower_changed) is called. By default, it is not.
    fn watches_followers(&self) -> bool {
        false
    }

    /// Called after a user has begun to follow a stream over this process, and after their last subscription of this
    /// process has ended. Calls may overtake each other: ask
    /// [`Streams::is_followed_here_by`](crate::Streams::is_followed_here_by).
    async fn follower_changed(&self, stream: &StreamName, user: UserId) {
        let _ = (stream, user);
    }

    /// Called after a user has begun or ceased to follow a stream over another process: ask
    /// [`Streams::is_followed_by`](crate::Streams::is_followed_by).
    fn peer_follower_changed(&self, stream: &StreamName, user: UserId) {
        let _ = (stream, user);
    }
}

/// The error for a type of frame that nobody handles.
pub fn unknown_type(kind: &str) -> Error {
    let kind: String = kind.chars().take(40).collect();
    Error::new(Kind::Invalid, "unknown_type", format!("Unknown type: {kind}."))
}

/// Reads the members of a command.
///
/// # Errors
/// 400 `invalid`, which names a missing member.
pub fn read_command<T: DeserializeOwned>(command: Command) -> Result<T> {
    serde_json::from_value(serde_json::Value::Object(command)).map_err(|error| {
        let text = error.to_string();
        match text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            Some(field) => Error::field(field, "This field is required."),
            None => Error::new(Kind::Invalid, "invalid", format!("Not a valid frame: {text}.")),
        }
    })
}

/// All handlers, by the kinds of their streams.
#[derive(Default)]
pub(crate) struct Handlers(RwLock<HashMap<&'static str, Arc<dyn StreamHandler>>>);

impl Handlers {
    pub(crate) fn register(&self, handler: &Arc<dyn StreamHandler>) {
        let mut by_kind = self.0.write().unwrap_or_else(PoisonError::into_inner);
        by_kind.extend(handler.kinds().into_iter().map(|kind| (kind, handler.clone())));
    }

    pub(crate) fn get(&self, stream: &StreamName) -> Option<Arc<dyn StreamHandler>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(stream.kind()).cloned()
    }

    pub(crate) async fn visible_after(&self, caller: &Caller, stream: &StreamName) -> Result<Option<Seq>> {
        match self.get(stream) {
            Some(handler) => handler.visible_after(caller, stream).await,
            None => Ok(None),
        }
    }
}

/// Streams `user/{id}`, which their user alone follows: notifications, direct messages, unread counts.
pub struct OwnStream;

impl OwnStream {
    /// The kind of these streams.
    pub const KIND: &'static str = "user";

    /// The stream of a user.
    pub fn of(user: UserId) -> StreamName {
        StreamName::new(Self::KIND, user.0)
    }
}

#[async_trait]
impl StreamHandler for OwnStream {
    fn kinds(&self) -> Vec<&'static str> {
        vec![Self::KIND]
    }

    async fn visible_after(&self, caller: &Caller, stream: &StreamName) -> Result<Option<Seq>> {
        Ok((stream.id() == Some(caller.user.0)).then_some(0))
    }
}
