//! The state of the routes.

use std::sync::Arc;

use axum::extract::FromRef;
use guildhall_files::Files;
use guildhall_kernel::{Auth, PublicUrl};

use crate::{
    service::{
        Attachments, Blocks, Changes, ChosenPreferences, Conversations, Groups, MessageTypes, Messages, People,
        Reactions, Reading, Requests, Search,
    },
    sql::SqlMessaging,
};

/// The state of the routes.
#[derive(Clone, FromRef)]
pub struct MessagingState {
    /// Sending and reading messages.
    pub messages: Arc<dyn Messages>,
    /// Attachments of messages.
    pub attachments: Arc<dyn Attachments>,
    /// Reading, and the number of unread messages.
    pub reading: Arc<dyn Reading>,
    /// The inbox.
    pub conversations: Arc<dyn Conversations>,
    /// Editing and deleting messages.
    pub changes: Arc<dyn Changes>,
    /// Reactions to messages.
    pub reactions: Arc<dyn Reactions>,
    /// Groups and their members.
    pub groups: Arc<dyn Groups>,
    /// Conversations that the caller has to accept.
    pub requests: Arc<dyn Requests>,
    /// People whom the caller has blocked.
    pub blocks: Arc<dyn Blocks>,
    /// Searching people to write to.
    pub people: Arc<dyn People>,
    /// Types of messages.
    pub message_types: Arc<dyn MessageTypes>,
    /// What the caller has chosen.
    pub preferences: Arc<dyn ChosenPreferences>,
    /// Full-text search.
    pub search: Arc<dyn Search>,
    /// The file store, with its limit on the size of uploads.
    pub files: Files,
    /// Authenticates the caller.
    pub auth: Auth,
    /// The prefix of the absolute URLs in lists.
    pub url: PublicUrl,
}

impl MessagingState {
    /// The state for services on a database. `url` is the public address of the host.
    pub fn new(messaging: &SqlMessaging, auth: Auth, url: PublicUrl) -> Self {
        let services = Arc::new(messaging.clone());
        Self {
            messages: services.clone(),
            attachments: services.clone(),
            reading: services.clone(),
            conversations: services.clone(),
            changes: services.clone(),
            reactions: services.clone(),
            groups: services.clone(),
            requests: services.clone(),
            blocks: services.clone(),
            people: services.clone(),
            message_types: services.clone(),
            preferences: services.clone(),
            search: services,
            files: messaging.core.host.files.clone(),
            auth,
            url,
        }
    }
}
