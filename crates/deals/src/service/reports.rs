use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{
    Conversion, Dashboard, Earned, MonthAmount, OrganizationId, Period, PipelineId, PipelineReport, Receivable, Result,
    Standing,
};

/// Sums over what the caller may see; they agree with the lists to the last minor unit.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Reports: Send + Sync + 'static {
    /// What deals are worth, stage by stage.
    async fn pipeline_report(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: Option<PipelineId>,
    ) -> Result<PipelineReport>;
    /// What came and is verified, month by month; what went back is taken off.
    async fn revenue(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Vec<MonthAmount>>;
    /// What open deals may bring, by the month in which they are expected.
    async fn forecast(&self, caller: &Caller, org: OrganizationId) -> Result<Vec<MonthAmount>>;
    /// What became of the deals of a period.
    async fn conversion(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Conversion>;
    /// What is still to be paid of deals that were won.
    async fn receivables(&self, caller: &Caller, org: OrganizationId) -> Result<Vec<Receivable>>;
    /// Who sold most in a period, currency by currency.
    async fn leaderboard(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Vec<Standing>>;
    /// What people earned in a period by verified money.
    async fn commission(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Vec<Earned>>;
    /// What one wants to see first.
    async fn dashboard(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Dashboard>;
}
