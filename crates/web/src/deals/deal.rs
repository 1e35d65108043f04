//! The page of a deal.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_deals::{
    Contact, Deal, DealFile, DealId, DealRef, DealStatus, Filter, OrganizationId, Payment, PaymentKind, Pipeline,
    Stage, StageChange, Task, Verification,
};
use guildhall_kernel::{CursorQuery, ETag, Error, IfMatch, PageQuery, Path, Query, Result, Timestamp};
use serde::Deserialize;

use super::{
    amount::{minor, percent},
    entered::Entered,
    frame::OrgFrame,
    payments::entry_name,
    timeline::{Entry, Part, entries},
};
use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, redirect_with, show},
    reader::Reader,
    web::App,
};

/// How many payments, tasks and entries of the timeline the page shows.
const SHOWN: u64 = 100;
const SECONDS_PER_DAY: i64 = 24 * 3600;

/// Which part of the timeline to show.
#[derive(Default, Deserialize)]
pub(crate) struct Shown {
    #[serde(default)]
    show: String,
}

/// A stage in the stage bar.
struct Step {
    stage: Stage,
    is_done: bool,
    is_current: bool,
    /// How many days the deal has been in it.
    days: Option<i64>,
}

#[derive(Template)]
#[template(path = "deals/deal.html")]
struct DealPage {
    f: OrgFrame,
    e: FormErrors,
    /// What was typed into a form of the page that was refused.
    v: Entered,
    deal: Deal,
    contact: Option<Contact>,
    pipeline: Pipeline,
    steps: Vec<Step>,
    payments: Vec<Payment>,
    tasks: Vec<Task>,
    files: Vec<DealFile>,
    part: Part,
    entries: Vec<Entry>,
}

impl DealPage {
    fn is_open(&self) -> bool {
        self.deal.status == DealStatus::Open
    }

    fn is_lost(&self) -> bool {
        self.deal.status == DealStatus::Lost
    }

    fn is_verified(&self) -> bool {
        self.deal.verification_status == Verification::Verified
    }

    fn is_rejected(&self) -> bool {
        self.deal.verification_status == Verification::Rejected
    }

    fn is_part(&self, name: &str) -> bool {
        self.part == Part::named(name)
    }

    /// The version of the deal that the page shows.
    fn version(&self) -> i64 {
        self.deal.updated_at.unix_micros()
    }

    /// The shares of the value that are received and verified, in percent.
    fn shares(&self) -> (u8, u8) {
        let minor = |amount: &str| minor(amount, &self.deal.currency);
        let value = minor(&self.deal.value);
        (percent(minor(&self.deal.paid_total), value), percent(minor(&self.deal.verified_total), value))
    }

    fn waiting(&self) -> usize {
        self.payments.iter().filter(|payment| payment.state == Verification::Pending).count()
    }

    fn name(&self, payment: &Payment) -> String {
        entry_name(&self.f, payment, &self.payments)
    }

    fn is_pending(payment: &Payment) -> bool {
        payment.state == Verification::Pending
    }

    fn is_settled(payment: &Payment) -> bool {
        payment.state == Verification::Verified
    }

    fn is_paid_back(payment: &Payment) -> bool {
        payment.kind != PaymentKind::Payment
    }

    /// The address of the deal.
    fn base(&self) -> String {
        self.f.url(&format!("deals/{}/", self.deal.id))
    }

    /// Where activities are logged.
    fn log_url(&self) -> String {
        self.f.url(&format!("deals/{}/activities/", self.deal.id))
    }

    fn step_text(&self, step: &Step) -> String {
        match step.days {
            Some(days) => self.f.n("deals-days", days),
            None => String::new(),
        }
    }
}

/// How many days a deal has spent in a stage, according to its stage changes; `None` if it never was in it.
fn days_in(stage: &Stage, changes: &[StageChange], now: Timestamp) -> Option<i64> {
    let mut seconds = 0;
    let mut until = now;
    let mut was_there = false;
    for change in changes {
        if change.to_stage == stage.name {
            was_there = true;
            seconds += until.unix_seconds() - change.moved_at.unix_seconds();
        }
        until = change.moved_at;
    }
    was_there.then_some(seconds / SECONDS_PER_DAY)
}

/// The stages of a deal's pipeline but those of lost deals, which are not a step on the way.
fn steps(deal: &Deal, pipeline: &Pipeline, changes: &[StageChange], now: Timestamp) -> Vec<Step> {
    let current = pipeline.stages.iter().position(|stage| stage.id == deal.stage_id).unwrap_or_default();
    let stages = pipeline.stages.iter().enumerate();
    let shown = stages.filter(|(_, stage)| stage.kind != DealStatus::Lost || stage.id == deal.stage_id);
    let step = |(index, stage): (usize, &Stage)| Step {
        is_done: deal.status != DealStatus::Lost && index < current,
        is_current: index == current,
        days: days_in(stage, changes, now),
        stage: stage.clone(),
    };
    shown.map(step).collect()
}

async fn deal_page(
    app: &App,
    reader: &Reader,
    (org, id): (OrganizationId, DealId),
    shown: &Shown,
    (e, v): (FormErrors, Entered),
) -> Result<Response> {
    let (caller, services) = (&reader.caller, &app.deals);
    let f = OrgFrame::open(app, reader, org, "list").await?;
    let at = DealRef::from(id);
    let deal = services.deals.deal(caller, org, at, None).await?;
    let pipeline = services.pipelines.pipeline(caller, org, deal.pipeline_id).await?;
    let payments = if f.may("payment.read") {
        let page = PageQuery::new(1, SHOWN);
        services.payments.payments(caller, org, Some(at), Filter::default(), page).await?.results
    } else {
        Vec::new()
    };
    let tasks = if f.may("task.read") {
        let filter = Filter::default().and("deal_id", &id.to_string()).and("done", "all");
        services.tasks.tasks(caller, org, filter, PageQuery::new(1, SHOWN)).await?.results
    } else {
        Vec::new()
    };
    let contact = match deal.contact_id {
        Some(contact) => services.contacts.contact(caller, org, deal.client_id, contact).await.ok(),
        None => None,
    };
    let files = services.deal_files.files(caller, org, at).await?;
    let activities = services.activities.activities(caller, org, at, CursorQuery::newest(SHOWN)).await?.results;
    let stages = services.deals.stage_changes(caller, org, at, CursorQuery::newest(SHOWN)).await?.results;
    let changes = if f.may("audit.read") {
        services.deals.deal_changes(caller, org, at, CursorQuery::newest(SHOWN)).await?.results
    } else {
        Vec::new()
    };
    let part = Part::named(&shown.show);
    let steps = steps(&deal, &pipeline, &stages, app.clock.now());
    let entries = entries(&reader.view, part, activities, stages, changes);
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = DealPage { f, e, v, deal, contact, pipeline, steps, payments, tasks, files, part, entries };
    Ok(show(status, &page))
}

pub(crate) async fn deal(
    State(app): State<App>,
    Path(path): Path<(OrganizationId, DealId)>,
    reader: Reader,
    Query(shown): Query<Shown>,
) -> Result<Response> {
    deal_page(&app, &reader, path, &shown, Default::default()).await
}

/// The response to a form on the page of a deal: the page again, with what was wrong and what was typed if it was
/// refused.
pub(super) async fn answer<T>(
    app: &App,
    reader: &Reader,
    (org, id): (OrganizationId, DealId),
    outcome: Result<T>,
    typed: Entered,
) -> Result<Response> {
    match outcome {
        Ok(_) => Ok(redirect_with(app, &format!("/deals/{org}/deals/{id}/"), "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            deal_page(app, reader, (org, id), &Shown::default(), (e, typed)).await
        }
    }
}

/// The version of an object that a form was made of.
///
/// # Errors
/// If the field is no number.
pub(super) fn known_version(form: &Submission) -> Result<IfMatch> {
    let version = form.number::<i64>("version")?.map(Timestamp::from_unix_micros);
    Ok(version.map_or_else(IfMatch::default, |time| IfMatch::only(ETag::from(time))))
}

pub(crate) async fn archive_deal(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, DealId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let archive = form.text("archive") == "1";
    let outcome = app.deals.deals.archive_deal(&reader.caller, org, id.into(), archive).await.map_err(Error::from);
    answer(&app, &reader, (org, id), outcome, Entered::default()).await
}

/// Moves a deal to the trash.
pub(crate) async fn delete_deal(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, DealId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let known = known_version(&form)?;
    match app.deals.deals.delete_deal(&reader.caller, org, id.into(), false, known).await.map_err(Error::from) {
        Ok(()) => Ok(redirect_with(&app, &format!("/deals/{org}/list/"), "flash-in-trash")),
        Err(error) => answer::<()>(&app, &reader, (org, id), Err(error), Entered::default()).await,
    }
}
