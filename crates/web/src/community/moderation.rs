//! The bans of a group, and the log of its moderators.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_community::{Ban, Group, GroupId, LogEntry, NewBan};
use guildhall_kernel::{Error, Path, Query, Result, UserId};

use super::group::find;
use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, ok, redirect_with, show},
    paging::{Before, PageNumber, Pager, older},
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many entries of the log are on a page.
const ENTRIES: u64 = 50;

#[derive(Template)]
#[template(path = "community/bans.html")]
struct BansPage {
    f: Frame,
    tab: &'static str,
    group: Group,
    is_owner: bool,
    bans: Vec<Ban>,
    pager: Pager,
    e: FormErrors,
    /// What was entered into the form for a new ban.
    form: Submission,
}

async fn bans_page(
    app: &App,
    reader: &Reader,
    id: GroupId,
    (e, form, number): (FormErrors, Submission, PageNumber),
) -> Result<Response> {
    let (group, is_owner) = find(app, reader, id).await?;
    let page = app.community.moderation.bans(&reader.caller, id, number.query()).await.map_err(Error::from)?;
    let f = reader.frame(app, Place::Groups).await?;
    let pager = Pager::new(&page, number, &format!("/groups/{id}/bans/"), &[]);
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(show(status, &BansPage { f, tab: "members", group, is_owner, bans: page.results, pager, e, form }))
}

pub(crate) async fn bans(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    bans_page(&app, &reader, id, (FormErrors::default(), Submission::default(), number)).await
}

/// Bans somebody by their user name, member or not.
pub(crate) async fn ban(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let banned = async {
        let user_id = reader.named(&app, "user", form.text("user").trim()).await?.id;
        let new = NewBan { user_id, reason: form.text("reason").trim().to_owned(), days: form.number("days")? };
        app.community.moderation.ban(&reader.caller, id, new).await.map_err(Error::from)
    };
    match banned.await {
        Ok(_) => Ok(redirect_with(&app, &format!("/groups/{id}/bans/"), "flash-banned")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            bans_page(&app, &reader, id, (e, form, PageNumber::default())).await
        }
    }
}

pub(crate) async fn unban(
    State(app): State<App>,
    Path((id, user)): Path<(GroupId, UserId)>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.community.moderation.unban(&reader.caller, id, user).await.map_err(Error::from)?;
    Ok(redirect_with(&app, &format!("/groups/{id}/bans/"), "flash-unbanned"))
}

#[derive(Template)]
#[template(path = "community/log.html")]
struct LogPage {
    f: Frame,
    tab: &'static str,
    group: Group,
    is_owner: bool,
    entries: Vec<LogEntry>,
    older: Option<i64>,
}

impl LogPage {
    /// What was done.
    fn action(&self, entry: &LogEntry) -> String {
        let key = format!("log-{}", entry.action.replace('_', "-"));
        self.f.find(&key).unwrap_or_else(|| entry.action.replace('_', " "))
    }

    /// The address of the post that it was done to.
    fn url(entry: &LogEntry) -> Option<String> {
        let (kind, id) = entry.target.split_once(' ')?;
        let is_gone = entry.action == "removed_post";
        (kind == "post" && !is_gone && id.bytes().all(|byte| byte.is_ascii_digit())).then(|| format!("/posts/{id}/"))
    }
}

pub(crate) async fn log(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    Query(before): Query<Before>,
) -> Result<Response> {
    let (group, is_owner) = find(&app, &reader, id).await?;
    let page = app.community.moderation.log(&reader.caller, id, before.query(ENTRIES)).await.map_err(Error::from)?;
    let f = reader.frame(&app, Place::Groups).await?;
    let older = older(page.next.as_deref());
    Ok(ok(&LogPage { f, tab: "log", group, is_owner, entries: page.results, older }))
}
