//! The settings of a group.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_community::{Group, GroupId, GroupPatch, PictureKind, Posting};
use guildhall_kernel::{Error, IfMatch, Kind, Path, Result};

use super::group::find;
use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, redirect_with, show},
    reader::{Frame, Place, Reader},
    web::App,
};

#[derive(Template)]
#[template(path = "community/settings.html")]
struct SettingsPage {
    f: Frame,
    tab: &'static str,
    e: FormErrors,
    group: Group,
    is_owner: bool,
    /// The name that was typed for the new owner.
    new_owner: String,
}

impl SettingsPage {
    fn only_moderators_post(&self) -> bool {
        self.group.posting == Posting::Moderators
    }
}

/// Overwrites a group with what was entered, to show it again.
fn entered(group: &mut Group, patch: &GroupPatch) {
    let GroupPatch { name, description, category, .. } = patch;
    if let Some(name) = name {
        group.name.clone_from(name);
    }
    if let Some(description) = description {
        group.description.clone_from(description);
    }
    if let Some(category) = category {
        group.category.clone_from(category);
    }
}

async fn settings_page(
    app: &App,
    reader: &Reader,
    id: GroupId,
    (e, patch, new_owner): (FormErrors, GroupPatch, String),
) -> Result<Response> {
    let (mut group, is_owner) = find(app, reader, id).await?;
    if !group.is_moderator && !reader.caller.roles.is_staff() {
        return Err(Error::new(Kind::Forbidden, "not_moderator", "Only moderators of the group can do this."));
    }
    let f = reader.frame(app, Place::Groups).await?;
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    entered(&mut group, &patch);
    Ok(show(status, &SettingsPage { f, tab: "settings", e, group, is_owner, new_owner }))
}

pub(crate) async fn settings(State(app): State<App>, Path(id): Path<GroupId>, reader: Reader) -> Result<Response> {
    settings_page(&app, &reader, id, Default::default()).await
}

pub(crate) async fn change(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let (_, is_owner) = find(&app, &reader, id).await?;
    let visibility = form.text("visibility");
    let mut patch = GroupPatch {
        name: form.find("name").map(|name| name.trim().to_owned()),
        description: form.find("description").map(str::to_owned),
        category: form.find("category").map(|category| category.trim().to_owned()),
        posting: form.choice("posting")?,
        approves_posts: Some(form.is_checked("approves_posts")),
        members_invite: Some(form.is_checked("members_invite")),
        ..GroupPatch::default()
    };
    if is_owner && !visibility.is_empty() {
        patch.is_private = Some(matches!(visibility, "listed" | "hidden"));
        patch.is_listed = Some(visibility == "listed");
    }
    let outcome = match form.number::<i64>("max_members") {
        Ok(max) => {
            patch.max_members = Some(max);
            let changed =
                app.community.groups.change_group(&reader.caller, id, patch.clone(), IfMatch::default()).await;
            changed.map_err(Error::from)
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok(_) => Ok(redirect_with(&app, &format!("/groups/{id}/settings/"), "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            settings_page(&app, &reader, id, (e, patch, String::new())).await
        }
    }
}

/// Sets or removes a picture.
pub(crate) async fn set_picture(
    State(app): State<App>,
    Path((id, kind)): Path<(GroupId, String)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let kind = match kind.as_str() {
        "image" => PictureKind::Image,
        "banner" => PictureKind::Banner,
        _ => return Err(Error::new(Kind::NotFound, "not_found", "Not found.")),
    };
    let pictures = &app.community.pictures;
    if form.is_checked("remove") {
        pictures.remove_picture(&reader.caller, id, kind).await.map_err(Error::from)?;
    } else {
        let content = form.into_upload("file")?.bytes;
        pictures.set_picture(&reader.caller, id, kind, content).await.map_err(Error::from)?;
    }
    Ok(redirect_with(&app, &format!("/groups/{id}/settings/"), "flash-saved"))
}

/// Transfers the ownership to another member.
pub(crate) async fn transfer(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let name = form.text("user");
    let transferred = async {
        let user = reader.named(&app, "user", name).await?.id;
        let transferred = app.community.members.transfer(&reader.caller, id, user).await.map_err(Error::from);
        transferred.map_err(|error| match error.code() {
            "not_in_group" => Error::field("user", reader.view.t("field-nobody")),
            _ => error,
        })
    };
    match transferred.await {
        Ok(_) => Ok(redirect_with(&app, &format!("/groups/{id}/"), "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            settings_page(&app, &reader, id, (e, GroupPatch::default(), name.to_owned())).await
        }
    }
}
