//! Requests to join a group.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_community::{Group, GroupId, JoinRequest, RequestId};
use guildhall_kernel::{Error, Kind, Path, Query, Result};

use super::group::find;
use crate::{
    form::Submission,
    page::{back_with, ok},
    paging::{PageNumber, Pager},
    reader::{Frame, Place, Reader},
    web::App,
};

#[derive(Template)]
#[template(path = "community/requests.html")]
struct RequestsPage {
    f: Frame,
    tab: &'static str,
    group: Group,
    is_owner: bool,
    requests: Vec<JoinRequest>,
    pager: Pager,
}

pub(crate) async fn requests(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    let (group, is_owner) = find(&app, &reader, id).await?;
    let page = app.community.requests.requests(&reader.caller, id, number.query()).await.map_err(Error::from)?;
    let f = reader.frame(&app, Place::Groups).await?;
    let pager = Pager::new(&page, number, &format!("/groups/{id}/requests/"), &[]);
    Ok(ok(&RequestsPage { f, tab: "requests", group, is_owner, requests: page.results, pager }))
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
