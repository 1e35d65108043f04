//! Messages as rows of a room.

use guildhall_chat::{Message, MessageType, Room, RoomId};
use guildhall_kernel::{Error, Result, UserId};

use super::access::base;
use crate::{
    card::{ReactionButton, reaction_button},
    html::Html,
    messaging::text::linked,
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
    /// Whether the host has sent it.
    pub(super) is_of_host: bool,
    /// The day, if it is the first message of one.
    pub(super) day: Option<String>,
    /// The number of unread messages, if it is the first of them.
    pub(super) unread: Option<i64>,
    pub(super) quote: Option<Quote>,
    pub(super) text: Html,
    pub(super) reactions: Vec<ReactionButton>,
    /// The icon and the sentence of a message that the server has written.
    pub(super) system: Option<(Html, String)>,
}

impl Row {
    /// The address of its room.
    pub(super) fn base(&self) -> String {
        base(self.message.room_id)
    }

    /// The address of its own page.
    pub(super) fn path(&self) -> String {
        path(self.message.room_id, self.message.id.0)
    }

    /// The number of its event.
    pub(super) fn seq(&self) -> i64 {
        self.message.seq.unwrap_or_default()
    }
}

/// Who reads the messages, and what is unread.
pub(super) struct Audience {
    pub(super) me: UserId,
    pub(super) host: Option<UserId>,
    /// How many of the newest messages are unread.
    pub(super) unread: i64,
    /// The messages that some answer and that are not shown themselves.
    pub(super) quoted: Vec<Message>,
}

impl Audience {
    /// The reader of these messages of a room, who has read everything.
    pub(super) async fn load(app: &App, reader: &Reader, room: &Room, messages: &[Message]) -> Result<Self> {
        let ids = quote::answered_elsewhere(messages.iter().map(|message| (message.id, message.reply_to)));
        let quoted = if ids.is_empty() {
            Vec::new()
        } else {
            app.chat.messages.messages_by_id(&reader.caller, room.id, ids).await.map_err(Error::from)?
        };
        Ok(Self { me: reader.id(), host: room.host.as_ref().map(|host| host.id), unread: 0, quoted })
    }
}

fn path(room: RoomId, message: i64) -> String {
    format!("{}messages/{message}/", base(room))
}

/// The first words of a message, to quote it; of a file its name.
pub(super) fn short(message: &Message) -> String {
    quote::short(&message.content, message.file.as_ref().map(|file| file.name.as_str()))
}

/// The icon and the sentence of a message that the server has written.
fn system(view: &View, message: &Message) -> Option<(Html, String)> {
    if message.message_type != MessageType::System {
        return None;
    }
    let name = view.plain_name(message.user.as_ref());
    Some(match message.event.as_deref() {
        Some("member_joined") => (view.flip_icon("log-in"), view.t1("room-joined", "name", name)),
        Some("member_left") => (view.flip_icon("log-out"), view.t1("room-left", "name", name)),
        Some("member_removed") => (view.icon("user-minus"), view.t1("room-removed", "name", name)),
        Some("host_changed") => (view.icon("user-round-cog"), view.t1("room-host-changed", "name", name)),
        Some("room_closed") => (view.icon("door-closed"), view.t("room-closed")),
        _ => (view.icon("info"), message.content.clone()),
    })
}

/// The messages of a room, oldest first, as rows.
pub(super) fn rows(view: &View, messages: Vec<Message>, audience: &Audience) -> Vec<Row> {
    let mut quotes = Quotes::default();
    let elsewhere = audience.quoted.iter().map(|message| (message, path(message.room_id, message.id.0)));
    for (message, url) in elsewhere.chain(messages.iter().map(|message| (message, format!("#msg-{}", message.id)))) {
        let text = (!message.is_deleted).then(|| short(message));
        quotes.add(view, message.id.0, url, (view.plain_name(message.sender.as_ref()), text));
    }
    let unread = usize::try_from(audience.unread).ok().filter(|unread| *unread > 0);
    let first_unread = unread.filter(|_| !messages.is_empty()).map(|unread| messages.len().saturating_sub(unread));
    let edges: Vec<(bool, bool)> = (0..messages.len())
        .map(|at| {
            let is_new_day = at == 0 || !view.is_same_day(messages[at - 1].timestamp, messages[at].timestamp);
            let is_first = is_new_day || Some(at) == first_unread || !is_grouped(&messages[at - 1], &messages[at]);
            (is_new_day, is_first)
        })
        .collect();
    let row = |(at, message): (usize, Message)| {
        let (is_new_day, is_first) = edges[at];
        let mine = message.my_reactions.clone().unwrap_or_default();
        let button = |(kind, count): (&String, &i64)| reaction_button(view, kind, *count, mine.contains(kind));
        let sender = message.sender.as_ref().map(|sender| sender.id);
        Row {
            is_mine: sender == Some(audience.me),
            is_first,
            is_of_host: sender.is_some() && sender == audience.host,
            day: is_new_day.then(|| view.day(message.timestamp)),
            unread: (Some(at) == first_unread).then_some(audience.unread),
            quote: message.reply_to.map(|id| quotes.of(view, id.0)),
            text: linked(&message.content),
            reactions: message.reactions.iter().map(button).collect(),
            system: system(view, &message),
            message,
        }
    };
    messages.into_iter().enumerate().map(row).collect()
}

/// Whether two messages that follow each other on one day are shown as one group.
fn is_grouped(one: &Message, other: &Message) -> bool {
    let sender = |message: &Message| message.sender.as_ref().map(|sender| sender.id);
    sender(one).is_some()
        && sender(one) == sender(other)
        && other.timestamp.since(one.timestamp).as_secs() < GROUPED_SECONDS
}
