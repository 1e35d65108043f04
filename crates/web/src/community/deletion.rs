//! Deleting a group, with exactly what goes with it.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_community::{Deletion, Group, GroupId};
use guildhall_kernel::{Error, FieldErrors, IfMatch, Path, Result};

use super::group::find;
use crate::{
    form::{FormErrors, Submission},
    page::{redirect_with, show},
    reader::{Frame, Place, Reader},
    web::App,
};

#[derive(Template)]
#[template(path = "community/deletion.html")]
struct DeletionPage {
    f: Frame,
    tab: &'static str,
    e: FormErrors,
    group: Group,
    is_owner: bool,
    deletion: Deletion,
    total: i64,
    typed: String,
}

/// The number of rows that go, with the group itself.
fn total(deletion: &Deletion) -> i64 {
    let Deletion {
        members,
        moderators: _,
        requests,
        invites,
        bans,
        posts,
        comments,
        reactions,
        attachments,
        pictures,
        courses,
        events,
        reports,
    } = deletion;
    let parts = [members, requests, invites, bans, posts, comments, reactions, attachments, pictures, courses];
    1 + parts.into_iter().chain([events, reports]).sum::<i64>()
}

/// The page; the second value is what was typed, if that or the numbers were not right.
async fn deletion_page(app: &App, reader: &Reader, id: GroupId, (e, typed): (FormErrors, String)) -> Result<Response> {
    let deletion = app.community.groups.preview_deletion(&reader.caller, id).await.map_err(Error::from)?;
    let (group, is_owner) = find(app, reader, id).await?;
    let f = reader.frame(app, Place::Groups).await?;
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let total = total(&deletion);
    Ok(show(status, &DeletionPage { f, tab: "delete", e, group, is_owner, deletion, total, typed }))
}

pub(crate) async fn deletion(State(app): State<App>, Path(id): Path<GroupId>, reader: Reader) -> Result<Response> {
    deletion_page(&app, &reader, id, (FormErrors::default(), String::new())).await
}

/// Deletes the group, if its name was typed and nothing was added since the page was shown.
pub(crate) async fn delete(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let (group, _) = find(&app, &reader, id).await?;
    let typed = form.text("slug").trim().to_owned();
    if typed != group.slug {
        let fields = FieldErrors::from([("slug".to_owned(), vec![reader.view.t("type-the-name")])]);
        return deletion_page(&app, &reader, id, (FormErrors::of(fields, None), typed)).await;
    }
    let now = app.community.groups.preview_deletion(&reader.caller, id).await.map_err(Error::from)?;
    if form.number::<i64>("total")? != Some(total(&now)) {
        let e = FormErrors::of(FieldErrors::new(), Some(reader.view.t("deletion-changed")));
        return deletion_page(&app, &reader, id, (e, typed)).await;
    }
    app.community.groups.delete_group(&reader.caller, id, IfMatch::default()).await.map_err(Error::from)?;
    Ok(redirect_with(&app, "/groups/", "flash-group-deleted"))
}
