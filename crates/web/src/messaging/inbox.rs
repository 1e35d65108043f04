//! The list of conversations.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_kernel::{CursorQuery, Error, Query, Result};
use guildhall_messaging::{Conversation, InboxFilter, MessageType};
use serde::Deserialize;

use super::{
    naming::{conversation_name, conversation_url},
    rows::type_name,
};
use crate::{
    page::ok,
    paging::{Before, older},
    reader::{Frame, Place, Reader},
    view::View,
    web::App,
};

/// How many conversations are on a page.
const CONVERSATIONS: u64 = 30;

/// Which conversations to show.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Shown {
    /// Only those whose newest message has this type; `unread` and `archived` are further choices.
    #[serde(default)]
    pub(super) kind: String,
}

/// A conversation in the list.
pub(super) struct Talk {
    pub(super) conversation: Conversation,
    pub(super) url: String,
    pub(super) name: String,
    pub(super) is_mine: bool,
    pub(super) is_current: bool,
    pub(super) kind: Option<String>,
}

/// The list of conversations beside an open one.
pub(super) struct Inbox {
    pub(super) talks: Vec<Talk>,
    pub(super) requests: Vec<Talk>,
    pub(super) types: Vec<(String, String)>,
    pub(super) kind: String,
    pub(super) older: Option<i64>,
}

fn talk(view: &View, reader: &Reader, conversation: Conversation, current: &str) -> Talk {
    let url = conversation_url(&conversation);
    let name = conversation_name(view, &conversation);
    let last = conversation.last_message.as_ref();
    let kind = last.filter(|message| message.message_type != "text");
    Talk {
        is_mine: last.is_some_and(|message| message.sender_id == Some(reader.id())),
        is_current: url == current,
        kind: kind.map(|message| type_name(view, &message.message_type)),
        conversation,
        url,
        name,
    }
}

/// The types of messages to choose from, with their names.
pub(super) fn type_names(view: &View, types: Vec<MessageType>) -> Vec<(String, String)> {
    let active = types.into_iter().filter(|kind| kind.is_active);
    active.map(|kind| (kind.name.clone(), type_name(view, &kind.name))).collect()
}

impl Inbox {
    /// The list; `current` is the address of the open conversation.
    pub(super) async fn load(
        app: &App,
        reader: &Reader,
        (shown, before): (&Shown, Before),
        current: &str,
    ) -> Result<Self> {
        let (caller, view) = (&reader.caller, &reader.view);
        let is_type = !matches!(shown.kind.as_str(), "" | "unread" | "archived");
        let filter = InboxFilter {
            archived: shown.kind == "archived",
            message_type: is_type.then(|| shown.kind.clone()),
            unread: shown.kind == "unread",
        };
        let query =
            before.before.map_or(CursorQuery::newest(CONVERSATIONS), |key| CursorQuery::before(key, CONVERSATIONS));
        let page = app.messaging.conversations.conversations(caller, filter, query).await.map_err(Error::from)?;
        let older = older(page.next.as_deref());
        let talks: Vec<Talk> =
            page.results.into_iter().map(|conversation| talk(view, reader, conversation, current)).collect();
        let requests = app.messaging.requests.requests(caller, CursorQuery::newest(CONVERSATIONS)).await;
        let requests = requests.map_err(Error::from)?.results.into_iter();
        let requests = requests.map(|conversation| talk(view, reader, conversation, current)).collect();
        let types = app.messaging.message_types.message_types(caller).await.map_err(Error::from)?;
        Ok(Self { talks, requests, types: type_names(view, types), kind: shown.kind.clone(), older })
    }
}

#[derive(Template)]
#[template(path = "messaging/inbox.html", blocks = ["inbox"])]
struct InboxPage {
    f: Frame,
    inbox: Inbox,
}

pub(crate) async fn inbox(
    State(app): State<App>,
    reader: Reader,
    Query(shown): Query<Shown>,
    Query(before): Query<Before>,
) -> Result<Response> {
    let f = reader.frame(&app, Place::Messages).await?;
    let inbox = Inbox::load(&app, &reader, (&shown, before), "").await?;
    let page = InboxPage { f, inbox };
    Ok(if reader.view.wants("inbox") { ok(&page.as_inbox()) } else { ok(&page) })
}
