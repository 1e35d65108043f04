//! The members of a group.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_community::{Group, GroupId, Member, MemberFilter, NewBan, Role};
use guildhall_kernel::{Error, Path, Query, Result, UserId};
use serde::Deserialize;

use super::group::find;
use crate::{
    form::Submission,
    page::{back_with, ok},
    paging::{PageNumber, Pager},
    reader::{Frame, Place, Reader},
    web::App,
};

/// Which members to show.
#[derive(Deserialize)]
pub(crate) struct Search {
    #[serde(default)]
    q: String,
    role: Option<Role>,
}

#[derive(Template)]
#[template(path = "community/members.html", blocks = ["results"])]
struct MembersPage {
    f: Frame,
    tab: &'static str,
    group: Group,
    is_owner: bool,
    q: String,
    role: Option<Role>,
    members: Vec<Member>,
    pager: Pager,
}

impl MembersPage {
    /// The name of a role, unless it is the common one.
    fn role_name(&self, member: &Member) -> Option<String> {
        match member.role {
            Role::Owner => Some(self.f.t("role-owner")),
            Role::Moderator => Some(self.f.t("role-moderator")),
            Role::Member => None,
        }
    }

    /// Whether the reader may remove a member.
    fn may_remove(&self, member: &Member) -> bool {
        match member.role {
            Role::Owner => false,
            Role::Moderator => self.is_owner,
            Role::Member => self.group.is_moderator,
        }
    }

    fn is_moderator(member: &Member) -> bool {
        member.role == Role::Moderator
    }
}

pub(crate) async fn members(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    Query(search): Query<Search>,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    let (group, is_owner) = find(&app, &reader, id).await?;
    let f = reader.frame(&app, Place::Groups).await?;
    let q = search.q.trim().to_owned();
    let filter = MemberFilter { search: (!q.is_empty()).then(|| q.clone()), role: search.role };
    let page = app.community.members.members(&reader.caller, id, filter, number.query()).await.map_err(Error::from)?;
    let role = search.role.map(|role| match role {
        Role::Owner => "owner",
        Role::Moderator => "moderator",
        Role::Member => "member",
    });
    let kept = [("q", q.as_str()), ("role", role.unwrap_or_default())];
    let pager = Pager::new(&page, number, &format!("/groups/{id}/members/"), &kept);
    let page = MembersPage { f, tab: "members", group, is_owner, q, role: search.role, members: page.results, pager };
    Ok(if reader.view.wants("results") { ok(&page.as_results()) } else { ok(&page) })
}

fn changed(app: &App, id: GroupId, form: &Submission) -> Response {
    back_with(app, form.next(), &format!("/groups/{id}/members/"), "flash-saved")
}

pub(crate) async fn promote(
    State(app): State<App>,
    Path((id, user)): Path<(GroupId, UserId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    app.community.members.add_moderator(&reader.caller, id, user).await.map_err(Error::from)?;
    Ok(changed(&app, id, &form))
}

pub(crate) async fn demote(
    State(app): State<App>,
    Path((id, user)): Path<(GroupId, UserId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    app.community.members.remove_moderator(&reader.caller, id, user).await.map_err(Error::from)?;
    Ok(changed(&app, id, &form))
}

pub(crate) async fn remove(
    State(app): State<App>,
    Path((id, user)): Path<(GroupId, UserId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    app.community.members.remove_member(&reader.caller, id, user).await.map_err(Error::from)?;
    Ok(back_with(&app, form.next(), &format!("/groups/{id}/members/"), "flash-removed"))
}

pub(crate) async fn ban(
    State(app): State<App>,
    Path((id, user)): Path<(GroupId, UserId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let new = NewBan { user_id: user, reason: form.text("reason").to_owned(), days: form.number("days")? };
    app.community.moderation.ban(&reader.caller, id, new).await.map_err(Error::from)?;
    Ok(back_with(&app, form.next(), &format!("/groups/{id}/members/"), "flash-banned"))
}
