//! Messages as rows of a conversation.

use std::collections::HashMap;

use guildhall_kernel::{Error, Person, Result, UserId};
use guildhall_messaging::{ConversationId, Message};

use super::text::linked;
use crate::{
    card::{ReactionButton, reaction_button},
    html::Html,
    quote::{self, Quote, Quotes},
    reader::Reader,
    view::View,
    web::App,
};

/// Messages of one person within this time are grouped, in seconds.
const GROUPED_SECONDS: u64 = 180;

/// A message as a row.
pub(super) struct Row {
    pub(super) message: Message,
    pub(super) is_mine: bool,
    /// Whether it is the first of a group of messages of one person.
    pub(super) is_first: bool,
    /// Whether it is the last of one.
    pub(super) is_last: bool,
    /// The day, if it is the first message of one.
    pub(super) day: Option<String>,
    /// The number of unread messages, if it is the first of them.
    pub(super) unread: Option<i64>,
    pub(super) sender: Option<Person>,
    pub(super) quote: Option<Quote>,
    pub(super) text: Html,
    pub(super) reactions: Vec<ReactionButton>,
    /// The name of its type, unless that is plain text.
    pub(super) kind: Option<String>,
}

impl Row {
    /// The address of its own page.
    pub(super) fn path(&self) -> String {
        path(&self.message)
    }

    /// Whether it has attachments that are no pictures.
    pub(super) fn has_files(&self) -> bool {
        self.message.attachments.iter().any(|file| file.preview_url.is_none())
    }
}

/// The address of the page of a message.
fn path(message: &Message) -> String {
    format!("/messaging/{}/messages/{}/", message.conversation_id, message.id)
}

/// The messages that some of these answer and that are not among them.
async fn quoted(app: &App, reader: &Reader, messages: &[Message]) -> Result<Vec<Message>> {
    let ids = quote::answered_elsewhere(messages.iter().map(|message| (message.id, message.reply_to)));
    match conversation_of(messages) {
        Some(conversation) if !ids.is_empty() => {
            let service = &app.messaging.messages;
            service.messages_by_id(&reader.caller, conversation, ids).await.map_err(Error::from)
        }
        _ => Ok(Vec::new()),
    }
}

/// Who takes part in a conversation, and what is unread.
pub(super) struct People {
    pub(super) me: UserId,
    pub(super) by_id: HashMap<UserId, Person>,
    /// How many of the newest messages of others are unread.
    pub(super) unread: i64,
    /// Whether it is a group, where each message names its sender.
    pub(super) is_group: bool,
    /// The messages that some answer and that are not shown themselves.
    pub(super) quoted: Vec<Message>,
}

impl People {
    /// These people as the readers of some messages: with the messages that those answer, and with their senders, some
    /// of whom have left.
    pub(super) async fn reading(mut self, app: &App, reader: &Reader, messages: &[Message]) -> Result<Self> {
        self.quoted = quoted(app, reader, messages).await?;
        let senders = messages.iter().chain(&self.quoted).filter_map(|message| message.sender_id);
        let gone: Vec<UserId> = senders.filter(|id| !self.by_id.contains_key(id)).collect();
        self.by_id.extend(app.directory.people_by_id(gone).await?);
        Ok(self)
    }
}

/// The name of a type of messages; its own name if there is no text for it.
pub(super) fn type_name(view: &View, name: &str) -> String {
    view.find(&format!("message-type-{}", name.replace('_', "-"))).unwrap_or_else(|| name.replace('_', " "))
}

/// The messages of a conversation, oldest first, as rows.
pub(super) fn rows(view: &View, messages: Vec<Message>, people: &People) -> Vec<Row> {
    let name = |id: Option<UserId>| match id.and_then(|id| people.by_id.get(&id)) {
        Some(person) => person.display_name.clone(),
        None => view.t("deleted-user"),
    };
    let mut quotes = Quotes::default();
    let elsewhere = people.quoted.iter().map(|message| (message, path(message)));
    for (message, url) in elsewhere.chain(messages.iter().map(|message| (message, format!("#msg-{}", message.id)))) {
        let file = message.attachments.first().map(|file| file.name.as_str());
        let text = (!message.is_deleted).then(|| quote::short(&message.content, file));
        quotes.add(view, message.id.0, url, (name(message.sender_id), text));
    }
    let first_unread_at = first_unread(&messages, people);
    let count = messages.len();
    let edges: Vec<(bool, bool, bool)> = (0..count)
        .map(|at| {
            let is_new_day = at == 0 || !view.is_same_day(messages[at - 1].timestamp, messages[at].timestamp);
            let follows = |one: usize, other: usize| is_grouped(view, &messages[one], &messages[other]);
            let is_first = is_new_day || Some(at) == first_unread_at || !follows(at - 1, at);
            let is_last = at + 1 == count || Some(at + 1) == first_unread_at || !follows(at, at + 1);
            (is_new_day, is_first, is_last)
        })
        .collect();
    let row = |(at, message): (usize, Message)| {
        let (is_new_day, is_first, is_last) = edges[at];
        let mine = message.my_reactions.clone().unwrap_or_default();
        let button = |(kind, count): (&String, &i64)| reaction_button(view, kind, *count, mine.contains(kind));
        let quote = message.reply_to.map(|id| quotes.of(view, id.0));
        Row {
            is_mine: message.sender_id == Some(people.me),
            is_first,
            is_last,
            day: is_new_day.then(|| view.day(message.timestamp)),
            unread: (Some(at) == first_unread_at).then_some(people.unread),
            sender: message.sender_id.and_then(|id| people.by_id.get(&id)).cloned(),
            quote,
            text: linked(&message.content),
            reactions: message.reactions.iter().map(button).collect(),
            kind: (message.message_type != "text").then(|| type_name(view, &message.message_type)),
            message,
        }
    };
    messages.into_iter().enumerate().map(row).collect()
}

/// Whether two messages that follow each other are shown as one group.
fn is_grouped(view: &View, one: &Message, other: &Message) -> bool {
    one.sender_id == other.sender_id
        && !one.is_system
        && !other.is_system
        && other.timestamp.since(one.timestamp).as_secs() < GROUPED_SECONDS
        && view.is_same_day(one.timestamp, other.timestamp)
}

/// The position of the first unread message; the first of these messages, if there are unread ones before them.
fn first_unread(messages: &[Message], people: &People) -> Option<usize> {
    let mut left = people.unread;
    for (at, message) in messages.iter().enumerate().rev() {
        if left > 0 && message.sender_id != Some(people.me) {
            left -= 1;
            if left == 0 {
                return Some(at);
            }
        }
    }
    (left > 0 && !messages.is_empty()).then_some(0)
}

/// The conversation of messages, if there are any.
pub(super) fn conversation_of(messages: &[Message]) -> Option<ConversationId> {
    messages.first().map(|message| message.conversation_id)
}
