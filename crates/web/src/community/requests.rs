//! Requests to join a group, and posts that wait for a moderator.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_community::{Group, GroupId, JoinRequest, RequestId};
use guildhall_kernel::{Error, Kind, PageQuery, Path, Query, Result};

use super::group::find;
use crate::{
    card::Card,
    form::Submission,
    page::{back_with, ok},
    paging::{PageNumber, Pager},
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many posts that wait are shown.
const POSTS: u64 = 20;

#[derive(Template)]
#[template(path = "community/requests.html")]
struct RequestsPage {
    f: Frame,
    tab: &'static str,
    group: Group,
    is_owner: bool,
    requests: Vec<JoinRequest>,
    pager: Pager,
    /// The oldest posts that wait for a moderator.
    posts: Vec<Card>,
}

pub(crate) async fn requests(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    let (group, is_owner) = find(&app, &reader, id).await?;
    let page = app.community.requests.requests(&reader.caller, id, number.query()).await.map_err(Error::from)?;
    let mut posts = Vec::new();
    if group.approves_posts {
        let waiting = app.community.reviews.queue(&reader.caller, id, PageQuery::new(1, POSTS)).await;
        posts = Card::all(&app, &reader, waiting.map_err(Error::from)?.results).await?;
    }
    let f = reader.frame(&app, Place::Groups).await?;
    let pager = Pager::new(&page, number, &format!("/groups/{id}/requests/"), &[]);
    Ok(ok(&RequestsPage { f, tab: "requests", group, is_owner, requests: page.results, pager, posts }))
}

pub(crate) async fn decide(
    State(app): State<App>,
    Path((id, request, decision)): Path<(GroupId, RequestId, String)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let approve = match decision.as_str() {
        "approve" => true,
        "deny" => false,
        _ => return Err(Error::new(Kind::NotFound, "not_found", "Not found.")),
    };
    app.community.requests.decide_request(&reader.caller, id, request, approve).await.map_err(Error::from)?;
    let flash = if approve { "flash-approved" } else { "flash-denied" };
    Ok(back_with(&app, form.next(), &format!("/groups/{id}/requests/"), flash))
}
