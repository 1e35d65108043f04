//! The page of a group.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_community::{FeedFilter, Group, GroupId, JoinRequest, Joined, Member, MemberFilter, Role};
use guildhall_kernel::{CursorQuery, Error, PageQuery, Path, Query, Result};

use crate::{
    card::Card,
    form::Submission,
    page::{ok, redirect_with},
    paging::{Before, older},
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many posts are on a page.
const POSTS: u64 = 20;
/// How many entries a list beside the posts has.
const ASIDE: u64 = 5;

/// A group, if the reader may see it, and whether they may do what only its owner and staff may.
pub(super) async fn find(app: &App, reader: &Reader, id: GroupId) -> Result<(Group, bool)> {
    let group = app.community.groups.group(Some(reader.caller), id).await.map_err(Error::from)?;
    let owns = group.owner.as_ref().is_some_and(|owner| owner.id == reader.id());
    Ok((group, owns || reader.caller.roles.is_staff()))
}

#[derive(Template)]
#[template(path = "community/group.html", blocks = ["older_posts"])]
struct GroupPage {
    f: Frame,
    tab: &'static str,
    group: Group,
    is_owner: bool,
    pinned: Vec<Card>,
    cards: Vec<Card>,
    older: Option<i64>,
    is_first: bool,
    moderators: Vec<Member>,
    requests: Vec<JoinRequest>,
}

async fn posts(
    app: &App,
    reader: &Reader,
    id: GroupId,
    query: CursorQuery,
    pinned: Option<bool>,
) -> Result<(Vec<Card>, Option<i64>)> {
    let filter = FeedFilter { group: Some(id), pinned, ..FeedFilter::default() };
    let page = app.community.feed.feed(Some(reader.caller), filter, query).await.map_err(Error::from)?;
    let older = older(page.next.as_deref());
    Ok((Card::all(app, reader, page.results).await?, older))
}

/// The owner and the moderators, for members.
async fn moderators(app: &App, reader: &Reader, id: GroupId) -> Result<Vec<Member>> {
    let mut found = Vec::new();
    for role in [Role::Owner, Role::Moderator] {
        let filter = MemberFilter { search: None, role: Some(role) };
        let page = app.community.members.members(&reader.caller, id, filter, PageQuery::new(1, ASIDE)).await;
        found.extend(page.map_err(Error::from)?.results);
    }
    Ok(found)
}

pub(crate) async fn group(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    Query(before): Query<Before>,
) -> Result<Response> {
    let (group, is_owner) = find(&app, &reader, id).await?;
    let f = reader.frame(&app, Place::Groups).await?;
    let is_first = before.before.is_none();
    let query = before.query(POSTS);
    // Of a private listed group, outsiders see only the card.
    let may_read = group.is_member || !group.is_private || reader.caller.roles.is_staff();
    let (mut cards, mut older, mut pinned) = (Vec::new(), None, Vec::new());
    if may_read {
        (cards, older) = posts(&app, &reader, id, query, None).await?;
        if is_first {
            (pinned, _) = posts(&app, &reader, id, CursorQuery::newest(3), Some(true)).await?;
            cards.retain(|card| !card.post.is_pinned);
        }
    }
    let is_part = reader.view.wants("older");
    let (mut moderators_, mut requests) = (Vec::new(), Vec::new());
    if group.is_member && !is_part {
        moderators_ = moderators(&app, &reader, id).await?;
    }
    if group.is_moderator && !is_part {
        let page = app.community.requests.requests(&reader.caller, id, PageQuery::new(1, ASIDE)).await;
        requests = page.map_err(Error::from)?.results;
    }
    let page = GroupPage {
        f,
        tab: "posts",
        group,
        is_owner,
        pinned,
        cards,
        older,
        is_first,
        moderators: moderators_,
        requests,
    };
    Ok(if is_part { ok(&page.as_older_posts()) } else { ok(&page) })
}

/// Joins a group, or asks to.
pub(crate) async fn join(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let note = form.text("note").to_owned();
    let joined = app.community.members.join(&reader.caller, id, None, note).await.map_err(Error::from)?;
    Ok(match joined {
        Joined::Member { .. } => redirect_with(&app, &format!("/groups/{id}/"), "flash-joined"),
        Joined::Requested { .. } => redirect_with(&app, &format!("/groups/{id}/"), "flash-requested"),
    })
}

/// Leaves a group, or withdraws the request to join it.
pub(crate) async fn leave(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    match app.community.members.leave(&reader.caller, id).await.map_err(Error::from) {
        Ok(_) => Ok(redirect_with(&app, "/groups/", "flash-left")),
        Err(error) if error.code() == "last_moderator" => {
            Ok(redirect_with(&app, &format!("/groups/{id}/members/"), "flash-last-moderator"))
        }
        Err(error) => Err(error),
    }
}
