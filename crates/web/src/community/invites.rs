//! Invites to a group.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_community::{Group, GroupId, Invite, InviteId, InviteStatus, IssuedInvite, NewInvite};
use guildhall_kernel::{Error, Path, Query, Result};

use super::group::find;
use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, redirect_with, show},
    paging::{PageNumber, Pager},
    reader::{Frame, Place, Reader},
    web::App,
};

#[derive(Template)]
#[template(path = "community/invites.html")]
struct InvitesPage<'a> {
    f: Frame,
    tab: &'static str,
    e: FormErrors,
    group: Group,
    is_owner: bool,
    invites: Vec<Invite>,
    pager: Pager,
    /// An invite that was just created.
    issued: Option<IssuedInvite>,
    whom: &'a str,
}

impl InvitesPage<'_> {
    fn status(&self, invite: &Invite) -> String {
        self.f.t(match invite.status {
            InviteStatus::Pending => "invite-pending",
            InviteStatus::Accepted => "invite-accepted",
            InviteStatus::Revoked => "invite-revoked",
            InviteStatus::Expired => "invite-expired",
        })
    }

    fn is_pending(invite: &Invite) -> bool {
        invite.status == InviteStatus::Pending
    }

    /// Whom an invite is for.
    fn invited(&self, invite: &Invite) -> String {
        match (&invite.user, &invite.email) {
            (Some(person), _) => person.display_name.clone(),
            (None, Some(email)) => email.clone(),
            (None, None) => self.f.t("whoever-has-the-link"),
        }
    }
}

async fn invites_page(
    app: &App,
    reader: &Reader,
    (id, number): (GroupId, PageNumber),
    outcome: Result<Option<IssuedInvite>, FormErrors>,
    whom: &str,
) -> Result<Response> {
    let (group, is_owner) = find(app, reader, id).await?;
    let page = app.community.invites.invites(&reader.caller, id, number.query()).await.map_err(Error::from)?;
    let f = reader.frame(app, Place::Groups).await?;
    let pager = Pager::new(&page, number, &format!("/groups/{id}/invites/"), &[]);
    let (status, e, issued) = match outcome {
        Ok(issued) => (StatusCode::OK, FormErrors::default(), issued),
        Err(e) => (StatusCode::UNPROCESSABLE_ENTITY, e, None),
    };
    let invites = page.results;
    Ok(show(status, &InvitesPage { f, tab: "invites", e, group, is_owner, invites, pager, issued, whom }))
}

pub(crate) async fn invites(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    invites_page(&app, &reader, (id, number), Ok(None), "").await
}

/// Invites a person by user name or email address; without either, whoever has the link. The link is shown in the
/// response, and never again.
pub(crate) async fn invite(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let whom = form.text("whom").trim().to_owned();
    let issue = async {
        let mut new = NewInvite {
            expires_days: form.number("expires_days")?,
            max_uses: form.number("max_uses")?,
            ..NewInvite::default()
        };
        if whom.contains('@') && !whom.starts_with('@') {
            new.email = Some(Some(whom.clone()));
        } else if !whom.is_empty() {
            new.user_id = Some(Some(reader.named(&app, "whom", &whom).await?.id));
        }
        app.community.invites.invite(&reader.caller, id, new).await.map_err(Error::from)
    };
    let outcome = match issue.await {
        Ok(issued) => Ok(Some(issued)),
        Err(error) => Err(form_errors(&reader.view, error)?),
    };
    let kept = if outcome.is_ok() { "" } else { &whom };
    invites_page(&app, &reader, (id, PageNumber::default()), outcome, kept).await
}

pub(crate) async fn revoke(
    State(app): State<App>,
    Path((id, invite)): Path<(GroupId, InviteId)>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.community.invites.revoke_invite(&reader.caller, id, invite).await.map_err(Error::from)?;
    Ok(redirect_with(&app, &format!("/groups/{id}/invites/"), "flash-revoked"))
}
