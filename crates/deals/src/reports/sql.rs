//! Reports on a database: sums per currency, computed in two parts so that they never overflow. They use the same
//! conditions as the lists.

mod deals;
mod members;
mod revenue;

use std::collections::BTreeMap;

use async_trait::async_trait;
use deals::{PERMISSIONS, deals_with_payments, open_stages, reported_deal_ids, reported_deals, totals};
use futures_util::future::OptionFuture;
use guildhall_kernel::{Caller, Person, Timestamp, db::Pipeline};
use members::MemberSum;
use revenue::{revenue_of, sort_by_month};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{CaseStatement, Expr, ExprTrait, Func},
};

use crate::{
    CommissionTotal, Conversion, Currency, Dashboard, DealStatus, Error, LeaderboardEntry, MonthAmount, OrganizationId,
    Period, PipelineId, PipelineReport, Receivable, Reports, Result, StageEntered, StageTotals,
    core::{
        Core,
        access::Access,
        rollups::{rollup_months, rollup_totals, rollup_totals_by_stage, sees_all},
        scope::TASK_TARGET_IS_LIVE,
        sums::{self, MonthSum, Span, join_parts, parts_of_sum, sum_columns},
        to_u64,
    },
    entity::{commission, deal, organization, payment, pipeline, stage, stage_change, task},
    ledger::sql::IS_WAITING,
    money::divide_half_even,
    permission::Permission,
    sales::sql::pipelines::in_order,
};

/// The maximum number of rows of a report.
const MAX_ROWS: u64 = 1000;
/// A day in microseconds.
const DAY: i64 = 86_400_000_000;

/// Reports, on a database.
#[derive(Clone)]
pub struct SqlReports {
    pub(crate) core: Core,
}

impl SqlReports {
    /// A period in the time zone of an organization; by default the year until today.
    fn span(&self, org: &organization::Model, period: Period) -> Result<Span> {
        let to = period.to.unwrap_or_else(|| org.day_of(self.core.now()));
        let from = match period.from {
            Some(from) => from,
            None => {
                org.day_of(Timestamp::from_unix_micros(org.start_of_day(&to).unix_micros().saturating_sub(365 * DAY)))
            }
        };
        if from > to {
            return Err(Error::field("from", "The start must not be after the end."));
        }
        let (begin, end) = (org.start_of_day(&from), org.end_of_day(&to));
        Ok(Span { from, to, begin, end })
    }

    async fn reporting(&self, caller: &Caller, org: OrganizationId) -> Result<Access> {
        self.core.authorize(self.core.db.conn(), caller, org, Permission::ReportRead).await
    }

    /// Loads the caller's access together with what `read` reads on the pipeline.
    async fn reporting_and<T>(
        &self,
        pipeline: &Pipeline<'_>,
        caller: &Caller,
        org: OrganizationId,
        read: impl Future<Output = T>,
    ) -> Result<(Access, T)> {
        let (access, read) = self.core.access_and((self.core.db.conn(), pipeline), caller, org, read).await?;
        access.may(Permission::ReportRead)?;
        Ok((access, read))
    }
}

#[async_trait]
impl Reports for SqlReports {
    async fn pipeline_report(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: Option<PipelineId>,
    ) -> Result<PipelineReport> {
        let pipe = &self.core.db.conn().pipeline();
        let is_requested = match pipeline {
            Some(id) => pipeline::COLUMN.id.eq(id),
            None => pipeline::COLUMN.is_default.eq(true),
        };
        let requested = pipeline::Entity::find().filter(pipeline::COLUMN.org_id.eq(org)).filter(is_requested);
        let ids = requested.clone().select_only().column(pipeline::Column::Id).into_query();
        let of_requested = stage::Entity::find().filter(stage::Column::PipelineId.in_subquery(ids));
        let read = async { tokio::join!(requested.one(pipe), in_order(of_requested).all(pipe)) };
        let (access, (row, stages)) = self.reporting_and(pipe, caller, org, read).await?;
        let row = row?.ok_or(Error::NotFound("pipeline"))?;
        let deals = || reported_deals(&access).filter(deal::COLUMN.pipeline_id.eq(row.id));
        let stages = stages?;
        let is_open = |stage: &&stage::Model| stage.kind == DealStatus::Open;
        let (mut sums, open) = if sees_all(&access, &PERMISSIONS) {
            let open = stages.iter().filter(is_open).map(|stage| stage.id);
            tokio::try_join!(
                rollup_totals_by_stage(pipe, &access, stages.iter().map(|stage| stage.id), true),
                rollup_totals(pipe, &access, open),
            )?
        } else {
            let open = deals().filter(deal::COLUMN.status.eq(DealStatus::Open));
            tokio::try_join!(sums::by_stage(deals(), pipe), totals(pipe, open))?
        };
        let stages = stages.into_iter().map(|stage| {
            let totals = sums.remove(&stage.id).unwrap_or_default();
            let count = totals.iter().map(|total| total.count).sum();
            StageTotals { stage_id: stage.id, name: stage.name, kind: stage.kind, count, totals }
        });
        let stages = stages.collect();
        Ok(PipelineReport { pipeline_id: row.id, stages, open })
    }

    async fn revenue(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Vec<MonthAmount>> {
        let access = self.reporting(caller, org).await?;
        let span = self.span(&access.org, period)?;
        access.may(Permission::PaymentRead)?;
        revenue_of(self.core.db.conn(), &access, &span).await
    }

    async fn forecast(&self, caller: &Caller, org: OrganizationId) -> Result<Vec<MonthAmount>> {
        let pipeline = &self.core.db.conn().pipeline();
        let (access, open_stages) = self.reporting_and(pipeline, caller, org, open_stages(pipeline, org)).await?;
        let month = || Expr::cust("substr(expected_close_date, 1, 7)");
        let mut select = reported_deals(&access)
            .filter(deal::COLUMN.status.eq(DealStatus::Open))
            .select_only()
            .expr_as(month(), "month")
            .column(deal::Column::Currency)
            .expr_as(Func::count(Expr::col(deal::Column::Id)), "n");
        for (expr, name) in sum_columns() {
            select = select.expr_as(expr, name);
        }
        let sums = select
            .group_by(month())
            .group_by(deal::Column::Currency)
            .order_by_asc(month())
            .order_by_asc(deal::Column::Currency)
            .limit(MAX_ROWS);
        let show = |sum: MonthSum| MonthAmount {
            month: sum.month,
            count: to_u64(sum.n),
            amount: sum.currency.format(join_parts(sum.hi, sum.lo)),
            weighted: sum.currency.format(divide_half_even(join_parts(sum.weighted_hi, sum.weighted_lo), 100)),
            currency: sum.currency,
        };
        let sums = if sees_all(&access, &PERMISSIONS) {
            rollup_months(self.core.db.conn(), &access, open_stages?).await?
        } else {
            sums.into_model::<MonthSum>().all(self.core.db.conn()).await?
        };
        Ok(sort_by_month(sums.into_iter().map(show).collect()))
    }

    async fn conversion(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Conversion> {
        #[derive(FromQueryResult)]
        struct Counted {
            status: DealStatus,
            n: i64,
        }
        #[derive(FromQueryResult)]
        struct Entered {
            to_name: String,
            n: i64,
        }
        let pipeline = &self.core.db.conn().pipeline();
        let access = self.reporting(caller, org).await?;
        let span = self.span(&access.org, period)?;
        let counted = reported_deals(&access)
            .filter(deal::COLUMN.created_at.gte(span.begin))
            .filter(deal::COLUMN.created_at.lt(span.end))
            .select_only()
            .column(deal::Column::Status)
            .expr_as(Func::count(Expr::col(deal::Column::Id)), "n")
            .group_by(deal::Column::Status)
            .into_model::<Counted>();
        let stages = stage_change::Entity::find()
            .filter(stage_change::COLUMN.org_id.eq(org))
            .filter(stage_change::COLUMN.moved_at.gte(span.begin))
            .filter(stage_change::COLUMN.moved_at.lt(span.end))
            .filter(stage_change::Column::DealId.in_subquery(reported_deal_ids(&access)))
            .select_only()
            .column(stage_change::Column::ToName)
            .expr_as(Expr::cust("COUNT(DISTINCT deal_id)"), "n")
            .group_by(stage_change::Column::ToName)
            .order_by_desc(Expr::cust("COUNT(DISTINCT deal_id)"))
            .order_by_asc(stage_change::Column::ToName)
            .limit(100)
            .into_model::<Entered>();
        let (counted, stages) = tokio::try_join!(counted.all(pipeline), stages.all(pipeline))?;
        let count = |status| counted.iter().find(|row| row.status == status).map_or(0, |row| to_u64(row.n));
        let (open, won, lost) = (count(DealStatus::Open), count(DealStatus::Won), count(DealStatus::Lost));
        let tenths = (won + lost > 0).then(|| divide_half_even(i128::from(won) * 1000, i128::from(won + lost)));
        Ok(Conversion {
            created: open + won + lost,
            open,
            won,
            lost,
            win_rate: tenths.map(|tenths| format!("{}.{}", tenths / 10, tenths % 10)),
            stages: stages.into_iter().map(|row| StageEntered { name: row.to_name, count: to_u64(row.n) }).collect(),
        })
    }

    async fn receivables(&self, caller: &Caller, org: OrganizationId) -> Result<Vec<Receivable>> {
        #[derive(FromQueryResult)]
        struct Aged {
            currency: Currency,
            age: i32,
            n: i64,
            hi: i64,
            lo: i64,
        }
        let access = self.reporting(caller, org).await?;
        access.may(Permission::PaymentRead)?;
        let now = self.core.now().unix_micros();
        let since = |days: i64| Expr::col(deal::Column::ClosedAt).gte(Timestamp::from_unix_micros(now - days * DAY));
        let age = CaseStatement::new().case(since(31), 0).case(since(61), 1).case(since(91), 2).finally(3);
        let balance = Expr::col(deal::Column::ValueMinor).sub(Expr::col(deal::Column::ReceivedMinor));
        let mut select = reported_deals(&access)
            .filter(access.deals_in_scope(Permission::PaymentRead))
            .filter(deal::COLUMN.status.eq(DealStatus::Won))
            .filter(Expr::col(deal::Column::ValueMinor).gt(Expr::col(deal::Column::ReceivedMinor)))
            .select_only()
            .column(deal::Column::Currency)
            .expr_as(age, "age")
            .expr_as(Func::count(Expr::col(deal::Column::Id)), "n");
        for (expr, name) in parts_of_sum(balance) {
            select = select.expr_as(expr, name);
        }
        let sums = select
            .group_by(deal::Column::Currency)
            .group_by(Expr::col("age"))
            .into_model::<Aged>()
            .all(self.core.db.conn())
            .await?;
        let mut by_currency: BTreeMap<Currency, (u64, [i128; 4])> = BTreeMap::new();
        for sum in sums {
            let (count, ages) = by_currency.entry(sum.currency).or_default();
            *count += to_u64(sum.n);
            if let Some(age) = usize::try_from(sum.age).ok().and_then(|age| ages.get_mut(age)) {
                *age += join_parts(sum.hi, sum.lo);
            }
        }
        let show = |(currency, (count, ages)): (Currency, (u64, [i128; 4]))| Receivable {
            count,
            balance: currency.format(ages.iter().sum()),
            days_0_30: currency.format(ages[0]),
            days_31_60: currency.format(ages[1]),
            days_61_90: currency.format(ages[2]),
            days_over_90: currency.format(ages[3]),
            currency,
        };
        Ok(by_currency.into_iter().map(show).collect())
    }

    async fn leaderboard(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Vec<LeaderboardEntry>> {
        let access = self.reporting(caller, org).await?;
        let span = self.span(&access.org, period)?;
        let mut select = reported_deals(&access)
            .filter(deal::COLUMN.status.eq(DealStatus::Won))
            .filter(deal::COLUMN.closed_at.gte(span.begin))
            .filter(deal::COLUMN.closed_at.lt(span.end))
            .select_only()
            .column_as(deal::Column::OwnerId, "member")
            .column(deal::Column::Currency)
            .expr_as(Func::count(Expr::col(deal::Column::Id)), "n");
        for (expr, name) in parts_of_sum(Expr::col(deal::Column::ValueMinor)) {
            select = select.expr_as(expr, name);
        }
        let sums = select.group_by(deal::Column::OwnerId).group_by(deal::Column::Currency).limit(MAX_ROWS);
        let sums = sums.into_model::<MemberSum>().all(self.core.db.conn()).await?;
        let show = |(sum, member): (MemberSum, Option<Person>)| LeaderboardEntry {
            member_id: sum.member,
            member,
            won: to_u64(sum.n),
            value: sum.currency.format(join_parts(sum.hi, sum.lo)),
            currency: sum.currency,
        };
        Ok(self.rank_members(sums).await?.into_iter().map(show).collect())
    }

    async fn commission(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Vec<CommissionTotal>> {
        let conn = self.core.db.conn();
        let access = self.core.authorize(conn, caller, org, Permission::CommissionRead).await?;
        let span = self.span(&access.org, period)?;
        let mut entries = commission::Entity::find()
            .filter(commission::COLUMN.org_id.eq(org))
            .filter(commission::COLUMN.earned_on.gte(span.from))
            .filter(commission::COLUMN.earned_on.lte(span.to))
            // Deals in the trash do not count.
            .filter(Expr::cust(
                "EXISTS (SELECT 1 FROM deals_deal d WHERE d.org_id = deals_commission.org_id \
                 AND d.id = deals_commission.deal_id AND d.deleted_at IS NULL)",
            ));
        if let Some(members) = access.members_in_scope(Permission::CommissionRead) {
            entries = entries.filter(commission::COLUMN.member_id.is_in(members));
        }
        let mut select = entries
            .select_only()
            .column_as(commission::Column::MemberId, "member")
            .column(commission::Column::Currency)
            .expr_as(Func::count(Expr::col(commission::Column::Id)), "n");
        for (expr, name) in parts_of_sum(Expr::col(commission::Column::AmountMinor)) {
            select = select.expr_as(expr, name);
        }
        let sums = select.group_by(commission::Column::MemberId).group_by(commission::Column::Currency).limit(MAX_ROWS);
        let sums = sums.into_model::<MemberSum>().all(conn).await?;
        let show = |(sum, member): (MemberSum, Option<Person>)| CommissionTotal {
            member_id: sum.member,
            member,
            count: to_u64(sum.n),
            amount: sum.currency.format(join_parts(sum.hi, sum.lo)),
            currency: sum.currency,
        };
        Ok(self.rank_members(sums).await?.into_iter().map(show).collect())
    }

    async fn dashboard(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Dashboard> {
        let pipeline = &self.core.db.conn().pipeline();
        let (access, open_stages) = self.reporting_and(pipeline, caller, org, open_stages(pipeline, org)).await?;
        let span = self.span(&access.org, period)?;
        let open_stages = open_stages?;
        let open = async {
            if sees_all(&access, &PERMISSIONS) {
                return rollup_totals(pipeline, &access, open_stages).await;
            }
            totals(pipeline, reported_deals(&access).filter(deal::COLUMN.status.eq(DealStatus::Open))).await
        };
        let won = reported_deals(&access)
            .filter(deal::COLUMN.status.eq(DealStatus::Won))
            .filter(deal::COLUMN.closed_at.gte(span.begin))
            .filter(deal::COLUMN.closed_at.lt(span.end));
        let sees_payments = access.may(Permission::PaymentRead).is_ok();
        let revenue = sees_payments.then(|| revenue_of(pipeline, &access, &span));
        let count_pending = || {
            let pending = payment::Entity::find()
                .filter(payment::COLUMN.org_id.eq(org))
                .filter(Expr::cust(IS_WAITING))
                .filter(payment::Column::DealId.in_subquery(deals_with_payments(&access)));
            async { Ok::<_, Error>(pending.count(pipeline).await?) }
        };
        let late = task::Entity::find()
            .filter(task::COLUMN.org_id.eq(org))
            .filter(task::COLUMN.assignee_id.eq(access.member.id))
            .filter(task::COLUMN.due_key.lt(self.core.now().unix_micros()))
            .filter(task::COLUMN.done_at.is_null())
            .filter(Expr::cust(TASK_TARGET_IS_LIVE));
        let (open, won, revenue, pending, late) = tokio::join!(
            open,
            totals(pipeline, won),
            OptionFuture::from(revenue),
            OptionFuture::from(sees_payments.then(count_pending)),
            late.count(pipeline),
        );
        Ok(Dashboard {
            open: open?,
            won: won?,
            revenue: revenue.transpose()?.unwrap_or_default(),
            payments_pending: pending.transpose()?.unwrap_or_default(),
            tasks_late: late?,
        })
    }
}
