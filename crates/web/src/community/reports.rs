//! Reports of posts and comments, for the moderators of a group.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_community::{CommentId, Group, GroupId, NewReport, Report, ReportId, Verdict};
use guildhall_kernel::{Error, Path, Query, Result};

use super::{comments::comment_refused, group::find};
use crate::{
    form::Submission,
    page::{ok, redirect_with},
    paging::{PageNumber, Pager},
    reader::{Frame, Place, Reader},
    web::App,
};

#[derive(Template)]
#[template(path = "community/reports.html")]
struct ReportsPage {
    f: Frame,
    tab: &'static str,
    group: Group,
    is_owner: bool,
    reports: Vec<Report>,
    pager: Pager,
}

impl ReportsPage {
    /// The address of what was reported.
    fn url(report: &Report) -> String {
        match report.comment {
            Some(comment) => format!("/comments/{comment}/"),
            None => format!("/posts/{}/", report.post),
        }
    }
}

pub(crate) async fn reports(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    let (group, is_owner) = find(&app, &reader, id).await?;
    let page = app.community.reports.reports(&reader.caller, Some(id), number.query()).await.map_err(Error::from)?;
    let f = reader.frame(&app, Place::Groups).await?;
    let pager = Pager::new(&page, number, &format!("/groups/{id}/reports/"), &[]);
    Ok(ok(&ReportsPage { f, tab: "reports", group, is_owner, reports: page.results, pager }))
}

/// Decides a report: dismisses it, upholds it, or removes what was reported.
pub(crate) async fn decide(
    State(app): State<App>,
    Path((id, report)): Path<(GroupId, ReportId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let verdict: Option<Verdict> = form.choice("verdict")?;
    let verdict = verdict.ok_or_else(|| Error::field("verdict", "This field is required."))?;
    app.community.reports.decide_report(&reader.caller, report, verdict).await.map_err(Error::from)?;
    Ok(redirect_with(&app, &format!("/groups/{id}/reports/"), "flash-decided"))
}

/// Reports a comment to the moderators.
pub(crate) async fn report_comment(
    State(app): State<App>,
    Path(id): Path<CommentId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let new = NewReport { reason: form.text("reason").trim().to_owned() };
    match app.community.reports.report_comment(&reader.caller, id, new).await.map_err(Error::from) {
        Ok(_) => Ok(redirect_with(&app, &format!("/comments/{id}/"), "flash-reported")),
        Err(error) => comment_refused(&app, &reader, id, error, &form).await,
    }
}
