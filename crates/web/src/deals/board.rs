//! The board of a pipeline.

use askama::Template;
use axum::{extract::State, http::header, response::Response};
use guildhall_deals::{
    BoardColumn, BoardQuery, Deal, DealId, DealStatus, OrganizationId, PaymentStatus, Pipeline, PipelineId, Stage,
    Total, Verification,
};
use guildhall_kernel::{Error, Kind, PageQuery, Path, Query, Result, Timestamp};
use serde::Deserialize;

use super::{amount::sums, frame::OrgFrame};
use crate::{cookies::YEAR, html::Html, page::ok, reader::Reader, view::View, web::App};

/// The cookie with the organization that was opened last.
pub(super) const LAST_ORGANIZATION: &str = "organization";
/// How many deals of a stage the board shows.
const DEALS: u64 = 30;
/// How many pipelines one can choose from.
const PIPELINES: u64 = 50;
const SECONDS_PER_DAY: i64 = 24 * 3600;

/// Which board to show.
#[derive(Deserialize)]
pub(crate) struct Shown {
    pipeline: Option<PipelineId>,
}

/// A deal on the board.
struct Card {
    deal: Deal,
    /// The deal above it, and the one below it.
    above: Option<DealId>,
    below: Option<DealId>,
    /// Whether it should have been closed already.
    is_due: bool,
    /// How many days it has been in its stage, if that is too long.
    rotting: Option<i64>,
}

struct Column {
    stage: Stage,
    cards: Vec<Card>,
    count: u64,
    totals: Html,
    /// The number of deals that are not shown.
    more: u64,
}

#[derive(Template)]
#[template(path = "deals/board.html", blocks = ["board"])]
struct BoardPage {
    f: OrgFrame,
    pipelines: Vec<Pipeline>,
    pipeline: PipelineId,
    columns: Vec<Column>,
    /// The totals of all open deals.
    open: Html,
}

impl BoardPage {
    fn is_lost(stage: &Stage) -> bool {
        stage.kind == DealStatus::Lost
    }

    fn is_won(stage: &Stage) -> bool {
        stage.kind == DealStatus::Won
    }

    /// The name of a kind of stage, for scripts.
    fn kind(stage: &Stage) -> &'static str {
        status_name(stage.kind)
    }

    fn is_paid(card: &Card) -> bool {
        matches!(card.deal.payment_status, PaymentStatus::Full | PaymentStatus::Over)
    }

    fn is_partly_paid(card: &Card) -> bool {
        card.deal.payment_status == PaymentStatus::Partial
    }

    fn is_verified(card: &Card) -> bool {
        card.deal.verification_status == Verification::Verified
    }
}

/// The name of a status in forms and addresses.
pub(super) fn status_name(status: DealStatus) -> &'static str {
    match status {
        DealStatus::Open => "open",
        DealStatus::Won => "won",
        DealStatus::Lost => "lost",
    }
}

/// The values of totals, one per currency.
pub(super) fn totals(view: &View, totals: &[Total]) -> Html {
    let texts: Vec<String> = totals.iter().map(|total| view.money(&total.value, &total.currency).to_string()).collect();
    Html::new(texts.join(" · "))
}

fn cards(deals: Vec<Deal>, f: &OrgFrame, stage: &Stage, now: Timestamp) -> Vec<Card> {
    let ids: Vec<DealId> = deals.iter().map(|deal| deal.id).collect();
    let card = |(index, deal): (usize, Deal)| {
        let days = (now.unix_seconds() - deal.stage_entered_at.unix_seconds()) / SECONDS_PER_DAY;
        let is_open = stage.kind == DealStatus::Open;
        Card {
            above: index.checked_sub(1).and_then(|above| ids.get(above).copied()),
            below: ids.get(index + 1).copied(),
            is_due: is_open && deal.expected_close_date.as_ref().is_some_and(|day| *day < f.today),
            rotting: stage.rot_days.filter(|limit| is_open && days > *limit).map(|_| days),
            deal,
        }
    };
    deals.into_iter().enumerate().map(card).collect()
}

/// The pipelines of an organization, the default one first.
pub(super) async fn pipelines(app: &App, reader: &Reader, org: OrganizationId) -> Result<Vec<Pipeline>> {
    let page = PageQuery::new(1, PIPELINES);
    let mut found = app.deals.pipelines.pipelines(&reader.caller, org, page).await?.results;
    found.sort_by_key(|pipeline| !pipeline.is_default);
    Ok(found)
}

pub(crate) async fn board(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    Query(shown): Query<Shown>,
) -> Result<Response> {
    let f = OrgFrame::open(&app, &reader, org, "board").await?;
    let pipelines = pipelines(&app, &reader, org).await?;
    let pipeline = shown.pipeline.or_else(|| pipelines.first().map(|pipeline| pipeline.id));
    let pipeline = pipeline.ok_or_else(|| Error::new(Kind::NotFound, "not_found", "Not found."))?;
    let query = BoardQuery { limit: Some(DEALS), ..BoardQuery::default() };
    let board = app.deals.boards.board(&reader.caller, org, pipeline, query).await?;
    let open = board.columns.iter().filter(|column| column.stage.kind == DealStatus::Open);
    let open = open.flat_map(|column| &column.totals).map(|total| (&total.currency, total.value.as_str()));
    let open: Vec<String> = sums(open).iter().map(|(currency, sum)| f.money(sum, currency).to_string()).collect();
    let now = app.clock.now();
    let column = |column: BoardColumn| Column {
        totals: totals(&f, &column.totals),
        more: column.count.saturating_sub(column.deals.len() as u64),
        count: column.count,
        cards: cards(column.deals, &f, &column.stage, now),
        stage: column.stage,
    };
    let columns = board.columns.into_iter().map(column).collect();
    let page = BoardPage { pipelines, pipeline, columns, open: Html::new(open.join(" · ")), f };
    let mut response = if reader.view.wants("board") { ok(&page.as_board()) } else { ok(&page) };
    if let Some(cookie) = app.cookies().set(LAST_ORGANIZATION, &org.to_string(), YEAR) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
