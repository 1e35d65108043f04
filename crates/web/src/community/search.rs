//! The search in everything.

use std::collections::HashMap;

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_accounts::UserFilter;
use guildhall_community::Group;
use guildhall_kernel::{CursorQuery, Error, PageQuery, Person, Query, Result};
use guildhall_messaging::{ConversationId, Message};
use serde::Deserialize;

use crate::{
    card::Card,
    messaging::naming::{conversation_name, conversation_url},
    page::ok,
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many hits each section shows.
const HITS: u64 = 5;
/// How many hits the whole page of a section shows.
const MANY_HITS: u64 = 50;

#[derive(Deserialize)]
pub(crate) struct Search {
    #[serde(default)]
    q: String,
    #[serde(default)]
    only: String,
}

/// A message with the person or group of its conversation.
struct Hit {
    message: Message,
    name: String,
    person: Option<Person>,
    url: String,
}

#[derive(Template)]
#[template(path = "community/search.html", blocks = ["results"])]
struct SearchPage {
    f: Frame,
    q: String,
    only: String,
    groups: Vec<Group>,
    cards: Vec<Card>,
    people: Vec<Person>,
    messages: Vec<Hit>,
}

impl SearchPage {
    /// The number of hits.
    fn count(&self) -> usize {
        self.groups.len() + self.cards.len() + self.people.len() + self.messages.len()
    }

    /// Whether a section is shown.
    fn shows(&self, section: &str) -> bool {
        self.only.is_empty() || self.only == section
    }
}

/// The messages with all terms, and where they are.
async fn messages(app: &App, reader: &Reader, q: &str, limit: u64) -> Result<Vec<Hit>> {
    let search = &app.messaging.search;
    let found = search.search_messages(&reader.caller, q.to_owned(), None, CursorQuery::newest(limit)).await;
    let found = found.map_err(Error::from)?.results;
    let mut ids: Vec<ConversationId> = found.iter().map(|message| message.conversation_id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let conversations = app.messaging.conversations.conversations_by_id(&reader.caller, ids).await;
    let conversations = conversations.map_err(Error::from)?.into_iter();
    let conversations: HashMap<_, _> = conversations.map(|found| (found.conversation_id, found)).collect();
    let hit = |message: Message| {
        let conversation = conversations.get(&message.conversation_id)?;
        let url = format!("{}?around={}#msg-{}", conversation_url(conversation), message.id, message.id);
        let person = conversation.other_user.clone();
        let name = conversation_name(&reader.view, conversation);
        Some(Hit { message, name, person, url })
    };
    Ok(found.into_iter().filter_map(hit).collect())
}

/// The people whose names begin with a text, in the directory and in the reader's groups.
async fn people(app: &App, reader: &Reader, q: &str, members: Vec<Person>, limit: u64) -> Result<Vec<Person>> {
    let filter = UserFilter { search: Some(q.trim_start_matches('@').to_owned()) };
    let users = app.accounts.accounts.users(&reader.caller, filter, PageQuery::new(1, limit)).await;
    let mut found: Vec<Person> = users.map_err(Error::from)?.results.into_iter().map(|user| user.user.into()).collect();
    for member in members {
        if found.iter().all(|person| person.id != member.id) {
            found.push(member);
        }
    }
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

pub(crate) async fn search(State(app): State<App>, reader: Reader, Query(search): Query<Search>) -> Result<Response> {
    let f = reader.frame(&app, Place::Search).await?;
    let q = search.q.trim().to_owned();
    let limit = if search.only.is_empty() { HITS } else { MANY_HITS };
    let mut page = SearchPage {
        f,
        q: q.clone(),
        only: search.only,
        groups: Vec::new(),
        cards: Vec::new(),
        people: Vec::new(),
        messages: Vec::new(),
    };
    if !q.is_empty() {
        let found = app.community.search.search(Some(reader.caller), q.clone(), limit).await.map_err(Error::from)?;
        page.groups = found.groups;
        page.cards = Card::all(&app, &reader, found.posts).await?;
        page.people = people(&app, &reader, &q, found.members, limit).await?;
        page.messages = messages(&app, &reader, &q, limit).await?;
    }
    Ok(if reader.view.wants("results") { ok(&page.as_results()) } else { ok(&page) })
}
