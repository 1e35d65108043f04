//! Tasks.

use std::time::Duration;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use chrono::{NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;
use guildhall_deals::{DealId, Filter, NewTask, OrganizationId, Task, TaskId, TaskPatch};
use guildhall_kernel::{Error, IfMatch, PageQuery, Path, Person, Query, Result, Timestamp, UserId};
use serde::Deserialize;

use super::{entered::Entered, frame::OrgFrame, members::active_people};
use crate::{
    form::{FormErrors, Submission},
    page::{back_with, form_errors, redirect, show},
    paging::{PAGE_SIZE, PageNumber, Pager},
    reader::Reader,
    web::App,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Which tasks to show.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct Shown {
    /// `me` or nothing.
    #[serde(default)]
    owner: String,
    /// `true` for those that are done.
    #[serde(default)]
    done: String,
}

#[derive(Template)]
#[template(path = "deals/tasks.html")]
struct TasksPage {
    f: OrgFrame,
    e: FormErrors,
    v: Entered,
    shown: Shown,
    /// The title of each part of the list, with its tasks.
    parts: Vec<(String, Vec<Task>)>,
    people: Vec<Person>,
    pager: Pager,
}

/// The end of a day in a time zone.
fn end_of_day(text: &str, zone: &str) -> Option<Timestamp> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    let time = date.and_time(NaiveTime::from_hms_opt(23, 59, 0)?);
    let local = zone.parse::<Tz>().unwrap_or(Tz::UTC).from_local_datetime(&time).latest()?;
    Some(Timestamp::from_unix_seconds(local.timestamp()))
}

/// Tasks by when they are due: late, within a day, later, at no time.
fn by_due_time(f: &OrgFrame, tasks: Vec<Task>, now: Timestamp) -> Vec<(String, Vec<Task>)> {
    let titles = ["deals-tasks-late", "deals-tasks-today", "deals-tasks-later", "deals-tasks-someday"];
    let mut parts: Vec<(String, Vec<Task>)> = titles.iter().map(|key| (f.t(key), Vec::new())).collect();
    for task in tasks {
        let index = match task.due_at {
            None => 3,
            Some(_) if task.is_late => 0,
            Some(due) if due <= now + DAY => 1,
            Some(_) => 2,
        };
        if let Some((_, tasks)) = parts.get_mut(index) {
            tasks.push(task);
        }
    }
    parts.retain(|(_, tasks)| !tasks.is_empty());
    parts
}

async fn tasks_page(
    app: &App,
    reader: &Reader,
    org: OrganizationId,
    (shown, number): (Shown, PageNumber),
    refused: Option<(FormErrors, Entered)>,
) -> Result<Response> {
    let f = OrgFrame::open(app, reader, org, "tasks").await?;
    let pairs = [("owner", shown.owner.as_str()), ("done", &shown.done)];
    let filter = Filter::new(pairs.into_iter().filter(|(_, value)| !value.is_empty()));
    let query = PageQuery::new(number.number(), PAGE_SIZE);
    let page = app.deals.tasks.tasks(&reader.caller, org, filter, query).await?;
    let pager = Pager::new(&page, number, &f.url("tasks/"), &pairs);
    let people = active_people(app, reader, &f).await?;
    let parts = if shown.done == "true" {
        vec![(f.t("deals-tasks-done"), page.results)]
    } else {
        by_due_time(&f, page.results, app.clock.now())
    };
    let (status, e, v) = match refused {
        Some((e, v)) => (StatusCode::UNPROCESSABLE_ENTITY, e, v),
        None => (StatusCode::OK, FormErrors::default(), Entered::default()),
    };
    Ok(show(status, &TasksPage { f, e, v, shown, parts, people, pager }))
}

pub(crate) async fn tasks(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    Query(shown): Query<Shown>,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    tasks_page(&app, &reader, org, (shown, number), None).await
}

/// Leads to what a task is about.
pub(crate) async fn task(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, TaskId)>,
    reader: Reader,
) -> Result<Response> {
    let task = app.deals.tasks.task(&reader.caller, org, id).await?;
    Ok(redirect(&match (task.deal_id, task.client_id) {
        (Some(deal), _) => format!("/deals/{org}/deals/{deal}/"),
        (None, Some(client)) => format!("/deals/{org}/clients/{client}/"),
        (None, None) => format!("/deals/{org}/tasks/"),
    }))
}

/// Creates a task, also for the form on the page of a deal.
pub(crate) async fn create_task(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let created = async {
        let zone = app.deals.organizations.organization(&reader.caller, org).await?.time_zone;
        let no_day = || Error::field("due_at", reader.view.t("deals-no-such-day"));
        let due = form.filled("due_at").map(|day| end_of_day(day, &zone).ok_or_else(no_day)).transpose()?;
        let new = NewTask {
            title: form.text("title").trim().to_owned(),
            deal_id: form.number::<i64>("deal_id")?.map(DealId),
            assignee_id: form.number::<i64>("assignee_id")?.map(UserId),
            due_at: due,
            ..NewTask::default()
        };
        Ok::<_, Error>(app.deals.tasks.create_task(&reader.caller, org, new).await?)
    };
    match created.await {
        Ok(_) => Ok(back_with(&app, form.next(), &format!("/deals/{org}/tasks/"), "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            let v = Entered::typed(&form, &["title", "due_at", "assignee_id", "deal_id"]);
            tasks_page(&app, &reader, org, (Shown::default(), PageNumber::default()), Some((e, v))).await
        }
    }
}

/// Completes a task, or opens it again.
pub(crate) async fn complete(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, TaskId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let patch = TaskPatch { is_done: Some(form.text("done") == "1"), ..TaskPatch::default() };
    let known = current_version(&app, &reader, org, id).await?;
    app.deals.tasks.change_task(&reader.caller, org, id, patch, known).await?;
    Ok(back_with(&app, form.next(), &format!("/deals/{org}/tasks/"), "flash-saved"))
}

/// The current version: ticking a task off depends on none of its other fields.
async fn current_version(app: &App, reader: &Reader, org: OrganizationId, id: TaskId) -> Result<IfMatch> {
    Ok(IfMatch::only(app.deals.tasks.task(&reader.caller, org, id).await?.updated_at.into()))
}

pub(crate) async fn delete_task(
    State(app): State<App>,
    Path((org, id)): Path<(OrganizationId, TaskId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let known = current_version(&app, &reader, org, id).await?;
    app.deals.tasks.delete_task(&reader.caller, org, id, known).await?;
    Ok(back_with(&app, form.next(), &format!("/deals/{org}/tasks/"), "flash-deleted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_in_its_time_zone() {
        let vienna = end_of_day("2026-03-12", "Europe/Vienna").unwrap();
        assert_eq!(vienna.to_string(), "2026-03-12T22:59:00.000000Z");
        assert_eq!(end_of_day("2026-02-31", "UTC"), None);
    }
}
