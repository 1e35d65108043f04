//! The inputs and results of reports.

use guildhall_kernel::Person;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Currency, Day, DealStatus, MemberId, PipelineId, StageId, Total};

/// The period of a report, in days.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Period {
    /// The first day; a year before the last one if absent.
    pub from: Option<Day>,
    /// The last day, inclusive; today in the organization's time zone if absent.
    pub to: Option<Day>,
}

/// The pipeline of a report.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PipelineFilter {
    /// The pipeline; the default one if absent.
    pub pipeline: Option<PipelineId>,
}

/// The values of the deals of a pipeline, by stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PipelineReport {
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// The stages, in their order.
    pub stages: Vec<StageTotals>,
    /// The totals of all open deals, per currency.
    pub open: Vec<Total>,
}

/// The values of the deals of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StageTotals {
    /// The stage.
    pub stage_id: StageId,
    /// The name of the stage.
    pub name: String,
    /// The status of its deals.
    pub kind: DealStatus,
    /// The number of deals.
    pub count: u64,
    /// The totals, per currency.
    pub totals: Vec<Total>,
}

/// The amount of a month, in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MonthAmount {
    /// The month, like `2025-09`; `null` for deals without a close date.
    pub month: Option<String>,
    /// The currency.
    pub currency: Currency,
    /// The number of payments or deals.
    pub count: u64,
    /// The amount.
    pub amount: String,
    /// The sum of the values multiplied by their probabilities; the same as `amount` for revenue.
    pub weighted: String,
}

/// The outcome of the deals of a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Conversion {
    /// How many were created in the period.
    pub created: u64,
    /// How many of these are open.
    pub open: u64,
    /// How many of these were won.
    pub won: u64,
    /// How many of these were lost.
    pub lost: u64,
    /// The percentage of closed deals that were won, with one decimal; `null` if none was closed.
    pub win_rate: Option<String>,
    /// How many deals entered each stage in the period, in descending order.
    pub stages: Vec<StageEntered>,
}

/// How many deals entered a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StageEntered {
    /// The name of the stage at that time.
    pub name: String,
    /// The number of distinct deals.
    pub count: u64,
}

/// The open balance of won deals, in one currency, by age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Receivable {
    /// The currency.
    pub currency: Currency,
    /// The number of deals.
    pub count: u64,
    /// The balance.
    pub balance: String,
    /// Of deals won up to 30 days ago.
    pub days_0_30: String,
    /// Of deals won 31 to 60 days ago.
    pub days_31_60: String,
    /// Of deals won 61 to 90 days ago.
    pub days_61_90: String,
    /// Of deals won more than 90 days ago.
    pub days_over_90: String,
}

/// The sales of a member in a period, in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LeaderboardEntry {
    /// The member.
    pub member_id: MemberId,
    /// The person; `null` if the account was deleted.
    pub member: Option<Person>,
    /// The currency.
    pub currency: Currency,
    /// The number of deals they won.
    pub won: u64,
    /// The value of those deals.
    pub value: String,
}

/// The commission of a member in a period, in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CommissionTotal {
    /// The member.
    pub member_id: MemberId,
    /// The person; `null` if the account was deleted.
    pub member: Option<Person>,
    /// The currency.
    pub currency: Currency,
    /// The number of entries.
    pub count: u64,
    /// The amount.
    pub amount: String,
}

/// The key figures of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Dashboard {
    /// The totals of open deals, per currency.
    pub open: Vec<Total>,
    /// The totals of the deals won in the period, per currency.
    pub won: Vec<Total>,
    /// The verified revenue of the period, per month and currency.
    pub revenue: Vec<MonthAmount>,
    /// The number of pending payments.
    pub payments_pending: u64,
    /// The number of overdue tasks of the caller.
    pub tasks_late: u64,
}
