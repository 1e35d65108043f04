//! The dashboard: what is wrong, what has happened, and the state of the server.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_admin::{Activity, HealthPart, History, Series, TableCount};
use guildhall_kernel::{Error, Path, Result, job::JobState, outbox::Summary};

use super::frame::AdminFrame;
use crate::{
    form::{FormErrors, Submission},
    page::{back_with, form_errors, ok},
    reader::Reader,
    web::App,
};

/// How many tables the list of the largest ones shows.
const LARGEST: usize = 8;

#[derive(Template)]
#[template(path = "admin/dashboard.html")]
struct DashboardPage {
    f: AdminFrame,
    activity: Activity,
    health: Vec<HealthPart>,
    version: &'static str,
    jobs: Vec<JobState>,
    unsent: Vec<Summary>,
    latest: Vec<History>,
    e: FormErrors,
}

/// A bar of a plot, in a square of 100 by 100.
struct Bar {
    x: String,
    y: String,
    height: String,
}

impl DashboardPage {
    /// Where the forms lead back to.
    #[expect(clippy::unused_self, reason = "templates call it on the page")]
    const fn here(&self) -> &'static str {
        "/admin/"
    }

    fn failed_jobs(&self) -> usize {
        self.jobs.iter().filter(|job| job.last_error.is_some()).count()
    }

    fn failed_messages(&self) -> usize {
        self.unsent.iter().filter(|message| message.next_at.is_none()).count()
    }

    fn is_degraded(&self) -> bool {
        self.health.iter().any(|part| !matches!(part.state, "ok" | "unset"))
    }

    fn series(&self) -> [(String, &Series); 3] {
        [
            (self.f.t("admin-new-people"), &self.activity.people),
            (self.f.t("admin-new-messages"), &self.activity.messages),
            (self.f.t("admin-new-deals"), &self.activity.deals),
        ]
    }

    /// A round number that no day exceeds.
    fn top(series: &Series) -> u64 {
        let highest = series.highest().max(1);
        let mut step = 1;
        while highest > step * 10 {
            step *= 10;
        }
        highest.div_ceil(step) * step
    }

    fn bars(series: &Series) -> Vec<Bar> {
        let top = Self::top(series);
        let bar = |(at, number): (usize, &u64)| {
            // Tenths of a percent are exact enough, and need no floating point.
            let height = number * 1000 / top;
            let tenths = |value: u64| format!("{}.{}", value / 10, value % 10);
            let x = (at * 1000 / series.days.len().max(1)) as u64 + 5;
            Bar { x: tenths(x), y: tenths(1000 - height), height: tenths(height) }
        };
        series.days.iter().enumerate().map(bar).collect()
    }

    fn dot(part: &HealthPart) -> &'static str {
        match part.state {
            "ok" => "dot-live",
            "unset" | "unknown" => "dot-none",
            "down" => "dot-bad",
            _ => "dot-warn",
        }
    }

    fn part_name(&self, part: &HealthPart) -> String {
        self.f.find(&format!("admin-part-{}", part.name)).unwrap_or_else(|| part.name.to_owned())
    }

    fn state_name(&self, part: &HealthPart) -> String {
        self.f.find(&format!("admin-state-{}", part.state)).unwrap_or_else(|| part.state.to_owned())
    }

    fn largest(&self) -> Vec<&TableCount> {
        let mut tables: Vec<&TableCount> = self.f.areas.iter().flat_map(|area| &area.tables).collect();
        tables.sort_by_key(|entry| std::cmp::Reverse(entry.count.number));
        tables.truncate(LARGEST);
        tables
    }
}

async fn dashboard_page(app: &App, reader: &Reader, e: FormErrors) -> Result<Response> {
    let f = AdminFrame::open(app, reader, "dashboard").await?;
    let (operations, caller) = (&app.admin.operations, &reader.caller);
    let (activity, jobs, unsent, latest) = tokio::try_join!(
        operations.activity(caller),
        operations.jobs(caller),
        operations.unsent(caller),
        operations.latest(caller)
    )
    .map_err(Error::from)?;
    let health = app.admin.health.health().await;
    let version = app.admin.health.version();
    Ok(ok(&DashboardPage { f, activity, health, version, jobs, unsent, latest, e }))
}

pub(crate) async fn dashboard(State(app): State<App>, reader: Reader) -> Result<Response> {
    dashboard_page(&app, &reader, FormErrors::default()).await
}

/// Lets a job run as soon as possible.
pub(crate) async fn run_job(
    State(app): State<App>,
    Path(name): Path<String>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    match app.admin.operations.run_job(&reader.caller, &name).await.map_err(Error::from) {
        Ok(()) => Ok(back_with(&app, form.next(), "/admin/", "flash-job-due")),
        Err(error) => dashboard_page(&app, &reader, form_errors(&reader.view, error)?).await,
    }
}

/// Tries to send a message now.
pub(crate) async fn send_now(
    State(app): State<App>,
    Path(id): Path<i64>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    match app.admin.operations.send_now(&reader.caller, id).await.map_err(Error::from) {
        Ok(()) => Ok(back_with(&app, form.next(), "/admin/", "flash-message-due")),
        Err(error) => dashboard_page(&app, &reader, form_errors(&reader.view, error)?).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_bar_is_below_a_round_number() {
        let series = Series { days: vec![0, 17, 34], since: None };
        assert_eq!(DashboardPage::top(&series), 40);
        let bars = DashboardPage::bars(&series);
        assert_eq!((bars[0].height.as_str(), bars[2].height.as_str(), bars[2].y.as_str()), ("0.0", "85.0", "15.0"));
        assert_eq!(DashboardPage::top(&Series::default()), 1);
    }
}
