//! The first page: the feed.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_chat::{Room, RoomFilter};
use guildhall_community::{Event, FeedFilter, FeedType, Group, GroupFilter, Post};
use guildhall_kernel::{CursorPage, CursorQuery, Error, PageQuery, Query, Result};
use guildhall_messaging::{Conversation, InboxFilter};
use serde::Deserialize;

use crate::{
    card::Card,
    page::ok,
    paging::{Before, older},
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many posts are on a page.
const POSTS: u64 = 20;
/// How many entries a list beside the feed has.
const ASIDE: u64 = 3;

/// Which posts to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Which {
    /// Those of the reader's groups.
    #[default]
    Groups,
    /// Those of the people whom the reader follows.
    Following,
    /// All public ones.
    Global,
    /// Those that the reader has saved.
    Saved,
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::Following => "following",
            Self::Global => "global",
            Self::Saved => "saved",
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Shown {
    #[serde(default)]
    feed: Which,
}

#[derive(Template)]
#[template(path = "community/home.html", blocks = ["older_posts"])]
struct HomePage {
    f: Frame,
    which: &'static str,
    cards: Vec<Card>,
    older: Option<i64>,
    is_first: bool,
    /// The newest open rooms.
    rooms: Vec<Room>,
    unread: Vec<Conversation>,
    events: Vec<Event>,
    /// Groups to join, if the feed is empty.
    suggestions: Vec<Group>,
}

async fn posts(app: &App, reader: &Reader, which: Which, query: CursorQuery) -> Result<CursorPage<Post>> {
    let feed_type = match which {
        Which::Saved => return app.community.bookmarks.bookmarks(&reader.caller, query).await.map_err(Error::from),
        Which::Groups => FeedType::JoinedGroups,
        Which::Following => FeedType::Following,
        Which::Global => FeedType::Global,
    };
    let filter = FeedFilter { feed_type: Some(feed_type), ..FeedFilter::default() };
    app.community.feed.feed(Some(reader.caller), filter, query).await.map_err(Error::from)
}

async fn suggested_groups(app: &App, reader: &Reader) -> Result<Vec<Group>> {
    let filter = GroupFilter { joined: Some(false), ..GroupFilter::default() };
    let groups = app.community.groups.groups(Some(reader.caller), filter, PageQuery::new(1, ASIDE)).await;
    Ok(groups.map_err(Error::from)?.results)
}

/// Instead of a list beside the feed that could not be read: the rest of the page is shown without it.
fn unavailable<T>(error: Error) -> Vec<T> {
    tracing::error!(%error, "a part of the first page is missing");
    Vec::new()
}

pub(crate) async fn home(
    State(app): State<App>,
    reader: Reader,
    Query(shown): Query<Shown>,
    Query(before): Query<Before>,
) -> Result<Response> {
    let f = reader.frame(&app, Place::Home).await?;
    let query = before.query(POSTS);
    let page = posts(&app, &reader, shown.feed, query).await?;
    let older = older(page.next.as_deref());
    let cards = Card::all(&app, &reader, page.results).await?;
    let is_partial = reader.view.wants("older");
    let (mut rooms, mut unread, mut events, mut suggestions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    if !is_partial {
        let filter = InboxFilter { unread: true, ..InboxFilter::default() };
        let inbox = app.messaging.conversations.conversations(&reader.caller, filter, CursorQuery::newest(ASIDE)).await;
        unread = inbox.map_or_else(|error| unavailable(error.into()), |page| page.results);
        // All pinned ones come first.
        unread.truncate(3);
        let page = PageQuery::new(1, ASIDE);
        let open = app.chat.rooms.rooms(&reader.caller, RoomFilter::default(), page.clone()).await;
        rooms = open.map_or_else(|error| unavailable(error.into()), |page| page.results);
        let coming = app.community.events.my_events(&reader.caller, page).await;
        events = coming.map_or_else(|error| unavailable(error.into()), |page| page.results);
        if cards.is_empty() && before.before.is_none() {
            suggestions = suggested_groups(&app, &reader).await?;
        }
    }
    let which = shown.feed.name();
    let is_first = before.before.is_none();
    let page = HomePage { f, which, cards, older, is_first, rooms, unread, events, suggestions };
    Ok(if is_partial { ok(&page.as_older_posts()) } else { ok(&page) })
}
