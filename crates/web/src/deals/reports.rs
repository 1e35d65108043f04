//! Reports: key figures, and amounts as bars with their numbers.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_deals::{
    Conversion, Currency, Dashboard, Day, DealStatus, LeaderboardEntry, MonthAmount, OrganizationId, Period,
    PipelineReport, Receivable, StageTotals, Total,
};
use guildhall_kernel::{Error, Path, Query, Result};
use serde::Deserialize;

use super::{
    amount::{minor, percent},
    frame::OrgFrame,
};
use crate::{page::ok, reader::Reader, web::App};

/// The number of characters of a month in a date.
const MONTH: usize = 7;

/// Which reports to show.
#[derive(Default, Deserialize)]
pub(crate) struct Shown {
    #[serde(default)]
    currency: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
}

/// A month with its amount.
struct Bar {
    month: String,
    count: u64,
    amount: String,
    /// The amount in percent of the largest one.
    height: u8,
    /// Whether the month is not over.
    is_running: bool,
}

impl Bar {
    /// The upper end of the bar, in percent from above.
    fn top(&self) -> u8 {
        100 - self.height
    }
}

/// A stage with the total of its deals.
struct StageBar {
    name: String,
    count: u64,
    value: String,
    weighted: String,
    width: u8,
    weighted_width: u8,
}

#[derive(Template)]
#[template(path = "deals/reports.html")]
struct ReportsPage {
    f: OrgFrame,
    shown: Shown,
    currencies: Vec<Currency>,
    currency: Currency,
    dashboard: Dashboard,
    conversion: Conversion,
    revenue: Vec<Bar>,
    revenue_total: String,
    stages: Vec<StageBar>,
    forecast: Vec<Bar>,
    leaderboard: Vec<LeaderboardEntry>,
    receivable: Option<Receivable>,
}

impl ReportsPage {
    fn total<'a>(&self, totals: &'a [Total]) -> Option<&'a Total> {
        totals.iter().find(|total| total.currency == self.currency)
    }

    fn is_current(&self, currency: &Currency) -> bool {
        self.currency == *currency
    }

    fn share(&self, count: &u64) -> u8 {
        percent(i128::from(*count), i128::from(self.conversion.created))
    }

    /// The address of the reports in a currency.
    fn url(&self, currency: &Currency) -> String {
        let Shown { from, to, .. } = &self.shown;
        self.f.url(&format!("reports/?currency={}&from={from}&to={to}", currency.code()))
    }
}

fn bars(amounts: &[MonthAmount], currency: &Currency, today: &Day) -> Vec<Bar> {
    let of_currency = || amounts.iter().filter(|amount| amount.currency == *currency && amount.month.is_some());
    let largest = of_currency().map(|amount| minor(&amount.amount, currency)).max().unwrap_or_default();
    let bar = |amount: &MonthAmount| {
        let month = amount.month.clone().unwrap_or_default();
        Bar {
            is_running: today.as_str().get(..MONTH) == Some(month.as_str()),
            count: amount.count,
            height: percent(minor(&amount.amount, currency), largest),
            amount: amount.amount.clone(),
            month,
        }
    };
    of_currency().map(bar).collect()
}

fn stage_bars(report: &PipelineReport, currency: &Currency) -> Vec<StageBar> {
    let open = || report.stages.iter().filter(|stage| stage.kind == DealStatus::Open);
    let total = |stage: &StageTotals| stage.totals.iter().find(|total| total.currency == *currency).cloned();
    let largest = open().filter_map(total).map(|total| minor(&total.value, currency)).max().unwrap_or_default();
    let bar = |stage: &StageTotals| {
        let zero = || currency.format(0);
        let (count, value, weighted) =
            total(stage).map_or_else(|| (0, zero(), zero()), |total| (total.count, total.value, total.weighted));
        StageBar {
            name: stage.name.clone(),
            count,
            width: percent(minor(&value, currency), largest),
            weighted_width: percent(minor(&weighted, currency), largest),
            value,
            weighted,
        }
    };
    open().map(bar).collect()
}

/// The currencies that amounts are in, that of the organization first.
fn currencies(f: &OrgFrame, dashboard: &Dashboard, receivables: &[Receivable]) -> Vec<Currency> {
    let own = &f.org.default_currency;
    let totals = dashboard.open.iter().chain(&dashboard.won).map(|total| &total.currency);
    let revenue = dashboard.revenue.iter().map(|amount| &amount.currency);
    let open = receivables.iter().map(|receivable| &receivable.currency);
    let mut found: Vec<Currency> = totals.chain(revenue).chain(open).filter(|found| *found != own).cloned().collect();
    found.sort();
    found.dedup();
    found.insert(0, own.clone());
    found
}

pub(crate) async fn reports(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    Query(shown): Query<Shown>,
) -> Result<Response> {
    let f = OrgFrame::open(&app, &reader, org, "reports").await?;
    let day = |name: &str, text: &str| match text {
        "" => Ok(None),
        text => Day::parse(text).map(Some).ok_or_else(|| Error::field(name, f.t("deals-no-such-day"))),
    };
    let period = Period { from: day("from", &shown.from)?, to: day("to", &shown.to)? };
    let (caller, service) = (&reader.caller, &app.deals.reports);
    let dashboard = service.dashboard(caller, org, period.clone()).await?;
    let receivables = service.receivables(caller, org).await?;
    let currencies = currencies(&f, &dashboard, &receivables);
    let chosen = currencies.iter().find(|currency| currency.code() == shown.currency).or(currencies.first());
    let currency = chosen.cloned().unwrap_or_else(|| f.org.default_currency.clone());
    let conversion = service.conversion(caller, org, period.clone()).await?;
    let pipeline = service.pipeline_report(caller, org, None).await?;
    let forecast = service.forecast(caller, org).await?;
    let leaderboard = service.leaderboard(caller, org, period).await?;
    let revenue = bars(&dashboard.revenue, &currency, &f.today);
    let revenue_total = currency.format(revenue.iter().map(|bar| minor(&bar.amount, &currency)).sum());
    let page = ReportsPage {
        revenue_total,
        revenue,
        stages: stage_bars(&pipeline, &currency),
        forecast: bars(&forecast, &currency, &f.today),
        leaderboard: leaderboard.into_iter().filter(|entry| entry.currency == currency).collect(),
        receivable: receivables.into_iter().find(|receivable| receivable.currency == currency),
        f,
        shown,
        currencies,
        currency,
        dashboard,
        conversion,
    };
    Ok(ok(&page))
}
