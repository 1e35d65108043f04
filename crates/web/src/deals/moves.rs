//! Moving a deal to another stage or place, and winning, losing and reopening it.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_deals::{CloseDeal, Deal, DealId, DealStatus, MoveDeal, OrganizationId, Pipeline, StageId, StageRef};
use guildhall_kernel::{Error, Path, Query, Result};
use serde::Deserialize;

use super::{entered::Entered, frame::OrgFrame};
use crate::{
    form::{FormErrors, Submission},
    page::{back_with, form_errors, show},
    reader::Reader,
    web::App,
};

/// What the form suggests.
#[derive(Deserialize)]
pub(crate) struct Suggested {
    stage: Option<StageId>,
}

#[derive(Template)]
#[template(path = "deals/move.html")]
struct MovePage {
    f: OrgFrame,
    e: FormErrors,
    v: Entered,
    deal: Deal,
    pipeline: Pipeline,
}

async fn move_page(
    app: &App,
    reader: &Reader,
    (org, id): (OrganizationId, DealId),
    e: FormErrors,
    v: Entered,
) -> Result<Response> {
    let f = OrgFrame::open(app, reader, org, "board").await?;
    let deal = app.deals.deals.deal(&reader.caller, org, id.into(), None).await?;
    let pipeline = app.deals.pipelines.pipeline(&reader.caller, org, deal.pipeline_id).await?;
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(show(status, &MovePage { f, e, v, deal, pipeline }))
}

pub(crate) async fn move_form(
    State(app): State<App>,
    Path(path): Path<(OrganizationId, DealId)>,
    reader: Reader,
    Query(suggested): Query<Suggested>,
) -> Result<Response> {
    let stage = suggested.stage.map(|stage| stage.to_string()).unwrap_or_default();
    move_page(&app, &reader, path, FormErrors::default(), Entered::of([("stage", &stage)])).await
}

/// The target of a move. The buttons that move a card within its column send stage and neighbour as one value:
/// `5-before-17`.
fn target(form: &Submission) -> Result<MoveDeal> {
    let missing = || Error::field("stage", "This field is required.");
    let neighbour = |name: &str| Ok::<_, Error>(form.number::<i64>(name)?.map(DealId));
    let lost_reason = form.text("lost_reason").trim().to_owned();
    let mut place = form.text("place").split('-');
    if let (Some(stage), Some(side), Some(deal)) = (place.next(), place.next(), place.next()) {
        let stage = StageRef::Id(StageId(stage.parse().map_err(|_| missing())?));
        let deal = Some(DealId(deal.parse().map_err(|_| missing())?));
        let (after, before) = if side == "after" { (deal, None) } else { (None, deal) };
        return Ok(MoveDeal { stage, after, before, lost_reason });
    }
    let stage = form.number::<i64>("stage")?.map(StageId).ok_or_else(missing)?;
    Ok(MoveDeal { stage: StageRef::Id(stage), after: neighbour("after")?, before: neighbour("before")?, lost_reason })
}

pub(crate) async fn move_deal(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, DealId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let moved = async {
        let to = target(&form)?;
        Ok::<_, Error>(app.deals.deals.move_deal(&reader.caller, org, id.into(), to).await?)
    };
    match moved.await {
        Ok(_) => Ok(back_with(&app, form.next(), &format!("/deals/{org}/deals/{id}/"), "flash-deal-moved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            move_page(&app, &reader, (org, id), e, Entered::typed(&form, &["stage", "lost_reason"])).await
        }
    }
}

#[derive(Template)]
#[template(path = "deals/close.html")]
struct ClosePage {
    f: OrgFrame,
    e: FormErrors,
    v: Entered,
    deal: Deal,
}

async fn close_page(
    app: &App,
    reader: &Reader,
    (org, id): (OrganizationId, DealId),
    e: FormErrors,
    v: Entered,
) -> Result<Response> {
    let f = OrgFrame::open(app, reader, org, "board").await?;
    let deal = app.deals.deals.deal(&reader.caller, org, id.into(), None).await?;
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(show(status, &ClosePage { f, e, v, deal }))
}

/// The status that a form asks for.
#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    status: String,
}

pub(crate) async fn close_form(
    State(app): State<App>,
    Path(path): Path<(OrganizationId, DealId)>,
    reader: Reader,
    Query(asked): Query<Asked>,
) -> Result<Response> {
    let status = if asked.status.is_empty() { "lost" } else { &asked.status };
    close_page(&app, &reader, path, FormErrors::default(), Entered::of([("status", status)])).await
}

pub(crate) async fn close_deal(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, DealId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let closed = async {
        let status: Option<DealStatus> = form.choice("status")?;
        let status = status.ok_or_else(|| Error::field("status", "This field is required."))?;
        let closing = CloseDeal { reason: form.text("reason").trim().to_owned() };
        Ok::<_, Error>(app.deals.deals.close_deal(&reader.caller, org, id.into(), status, closing).await?)
    };
    match closed.await {
        Ok(_) => Ok(back_with(&app, form.next(), &format!("/deals/{org}/deals/{id}/"), "flash-deal-moved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            close_page(&app, &reader, (org, id), e, Entered::typed(&form, &["status", "reason"])).await
        }
    }
}
