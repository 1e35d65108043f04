use guildhall_kernel::Person;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Day, DealStatus, MemberId, PipelineId, StageId, Total};
use crate::Currency;

/// Which days a report is about.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Period {
    /// From this day; a year before the last, where this is not given.
    pub from: Option<Day>,
    /// To this day, which counts; today in UTC, where this is not given.
    pub to: Option<Day>,
}

/// Which pipeline a report is about.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PipelineFilter {
    /// The pipeline; the usual one, where this is not given.
    pub pipeline: Option<PipelineId>,
}

/// What open deals are worth, stage by stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PipelineReport {
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// Its stages, in their order.
    pub stages: Vec<StageTotals>,
    /// All of it, per currency, of deals that are open.
    pub open: Vec<Total>,
}

/// What the deals of a stage are worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StageTotals {
    /// The stage.
    pub stage_id: StageId,
    /// What it is called.
    pub name: String,
    /// How deals in it stand.
    pub kind: DealStatus,
    /// How many there are.
    pub count: u64,
    /// What they are worth, per currency.
    pub totals: Vec<Total>,
}

/// An amount that has to do with a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MonthAmount {
    /// The month, `2025-09`; none for what has none.
    pub month: Option<String>,
    /// In what.
    pub currency: Currency,
    /// Of how many entries, or deals.
    pub count: u64,
    /// How much.
    pub amount: String,
    /// What one may expect of it: each by how likely it is. The same as `amount` for what has come.
    pub weighted: String,
}

/// What became of the deals of a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Conversion {
    /// How many were added in it.
    pub created: u64,
    /// How many of these are open.
    pub open: u64,
    /// How many of these were won.
    pub won: u64,
    /// How many of these were lost.
    pub lost: u64,
    /// How many of a hundred that were decided were won, with one digit; none where none was.
    pub win_rate: Option<String>,
    /// How many deals came into each stage in it, those with most first.
    pub stages: Vec<StageEntered>,
}

/// How many deals came into a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StageEntered {
    /// What the stage was called.
    pub name: String,
    /// How many different deals.
    pub count: u64,
}

/// What is still to be paid of deals that were won.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Receivable {
    /// In what.
    pub currency: Currency,
    /// How many deals.
    pub count: u64,
    /// How much.
    pub balance: String,
    /// Won up to 30 days ago.
    pub days_0_30: String,
    /// Won 31 to 60 days ago.
    pub days_31_60: String,
    /// Won 61 to 90 days ago.
    pub days_61_90: String,
    /// Won longer ago.
    pub days_over_90: String,
}

/// What somebody has sold in a period, in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Standing {
    /// Who.
    pub member_id: MemberId,
    /// Who; `null` once their account is gone.
    pub member: Option<Person>,
    /// In what.
    pub currency: Currency,
    /// How many deals they won.
    pub won: u64,
    /// What those are worth.
    pub value: String,
}

/// What somebody has earned in a period, in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Earned {
    /// Who.
    pub member_id: MemberId,
    /// Who; `null` once their account is gone.
    pub member: Option<Person>,
    /// In what.
    pub currency: Currency,
    /// Of how many entries.
    pub count: u64,
    /// How much.
    pub amount: String,
}

/// What one wants to see first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Dashboard {
    /// What open deals are worth, per currency.
    pub open: Vec<Total>,
    /// What was won in the period, per currency.
    pub won: Vec<Total>,
    /// What came in the period and is verified, per month and currency.
    pub revenue: Vec<MonthAmount>,
    /// How many payments wait to be decided about.
    pub payments_pending: u64,
    /// How many tasks of the caller are late.
    pub tasks_late: u64,
}
