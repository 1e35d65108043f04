//! The state of the routes.

use std::sync::Arc;

use axum::extract::FromRef;
use guildhall_files::Files;
use guildhall_kernel::{Auth, PublicUrl};

use crate::{
    service::{Audits, Changes, Hosts, Messages, Participants, Pins, Reactions, Reading, Requests, Rooms, Search},
    sql::SqlChat,
};

/// The state of the routes.
#[derive(Clone, FromRef)]
pub struct ChatState {
    /// Rooms.
    pub rooms: Arc<dyn Rooms>,
    /// The people in a room.
    pub participants: Arc<dyn Participants>,
    /// Hosts and co-hosts.
    pub hosts: Arc<dyn Hosts>,
    /// Requests to join.
    pub requests: Arc<dyn Requests>,
    /// Sending and reading messages.
    pub messages: Arc<dyn Messages>,
    /// Editing and deleting messages.
    pub changes: Arc<dyn Changes>,
    /// Reactions to messages.
    pub reactions: Arc<dyn Reactions>,
    /// Pinned messages.
    pub pins: Arc<dyn Pins>,
    /// What the caller has read.
    pub reading: Arc<dyn Reading>,
    /// Full-text search.
    pub search: Arc<dyn Search>,
    /// The chain of hashes, and the export of a room.
    pub audits: Arc<dyn Audits>,
    /// Reads uploaded files.
    pub files: Files,
    /// Authenticates the caller.
    pub auth: Auth,
    /// The prefix of the absolute URLs in lists.
    pub url: PublicUrl,
}

impl ChatState {
    /// The state for services on a database. `url` is the public address of the host.
    pub fn new(chat: &SqlChat, auth: Auth, url: PublicUrl) -> Self {
        let services = Arc::new(chat.clone());
        Self {
            rooms: services.clone(),
            participants: services.clone(),
            hosts: services.clone(),
            requests: services.clone(),
            messages: services.clone(),
            changes: services.clone(),
            reactions: services.clone(),
            pins: services.clone(),
            reading: services.clone(),
            search: services.clone(),
            audits: services,
            files: chat.files(),
            auth,
            url,
        }
    }
}
