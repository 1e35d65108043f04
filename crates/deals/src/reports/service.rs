//! The service trait.

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{
    CommissionTotal, Conversion, Dashboard, LeaderboardEntry, MonthAmount, OrganizationId, Period, PipelineId,
    PipelineReport, Receivable, Result,
};

/// Reports on what the caller may see. They match the lists exactly.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Reports: Send + Sync + 'static {
    /// The values of the deals of a pipeline, by stage.
    async fn pipeline_report(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: Option<PipelineId>,
    ) -> Result<PipelineReport>;
    /// The verified revenue by month, less refunds and reversals.
    async fn revenue(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Vec<MonthAmount>>;
    /// The values of open deals by the month of their expected close date.
    async fn forecast(&self, caller: &Caller, org: OrganizationId) -> Result<Vec<MonthAmount>>;
    /// The outcome of the deals created in a period.
    async fn conversion(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Conversion>;
    /// The open balances of won deals, by age.
    async fn receivables(&self, caller: &Caller, org: OrganizationId) -> Result<Vec<Receivable>>;
    /// The sales of a period by member, per currency, in descending order.
    async fn leaderboard(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Vec<LeaderboardEntry>>;
    /// The commissions of a period by member. They are earned on verified payments.
    async fn commission(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Vec<CommissionTotal>>;
    /// The key figures of an organization.
    async fn dashboard(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Dashboard>;
}
