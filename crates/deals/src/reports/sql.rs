//! Reports on a database: sums per currency, computed in two parts so that they never overflow. They use the same
//! conditions as the lists.

use std::collections::BTreeMap;

use async_trait::async_trait;
use guildhall_kernel::{Caller, Person, Timestamp};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
    sea_query::{Expr, ExprTrait, Func, SelectStatement, SimpleExpr},
};

use crate::{
    CommissionTotal, Conversion, Currency, Dashboard, DealStatus, Error, LeaderboardEntry, MemberId, MonthAmount,
    OrganizationId, Period, PipelineId, PipelineReport, Receivable, Reports, Result, StageEntered, StageId,
    StageTotals, Total, Verification,
    core::{
        Core,
        access::{Access, TASK_TARGET_IS_LIVE},
        rollups::sees_all,
        scalar_i64,
        sums::{self, MonthSum, Span, Sum, join_parts, sum_columns},
        to_u64,
    },
    entity::{commission, deal, organization, payment, pipeline, stage, stage_change},
    money::divide_half_even,
    permission::Permission,
    sales::sql::pipelines::{self, stages_of},
};

/// The maximum number of rows of a report.
const MAX_ROWS: u64 = 1000;
/// A day in microseconds.
const DAY: i64 = 86_400_000_000;

/// The sum of a member, in one currency.
#[derive(Debug, FromQueryResult)]
struct MemberSum {
    member: MemberId,
    currency: Currency,
    n: i64,
    hi: i64,
    lo: i64,
}

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

    /// The totals of deals, per currency.
    async fn totals(&self, deals: Select<deal::Entity>) -> Result<Vec<Total>> {
        let mut select = deals
            .select_only()
            .expr_as(Func::min(Expr::col(deal::Column::StageId)), "stage_id")
            .column(deal::Column::Currency)
            .expr_as(Func::count(Expr::col(deal::Column::Id)), "n");
        for (expr, name) in sum_columns() {
            select = select.expr_as(expr, name);
        }
        let sums = select.group_by(deal::Column::Currency).order_by_asc(deal::Column::Currency);
        Ok(sums.into_model::<Sum>().all(self.core.db.conn()).await?.iter().map(Sum::show).collect())
    }

    /// The verified revenue of a period.
    async fn revenue_of(&self, access: &Access, span: &Span) -> Result<Vec<MonthAmount>> {
        let conn = self.core.db.conn();
        let entries = payment::Entity::find()
            .filter(payment::COLUMN.org_id.eq(access.org.id))
            .filter(payment::COLUMN.state.eq(Verification::Verified))
            .filter(payment::COLUMN.received_on.gte(span.from.clone()))
            .filter(payment::COLUMN.received_on.lte(span.to.clone()))
            .filter(payment::Column::DealId.in_subquery(deals_with_payments(access)))
            // Refunds and reversals of payments that were never verified do not count.
            .filter(Expr::cust(
                "(deals_payment.of_id IS NULL OR EXISTS (SELECT 1 FROM deals_payment o \
                 WHERE o.org_id = deals_payment.org_id AND o.id = deals_payment.of_id AND o.state = 'verified'))",
            ));
        let sign = "CASE WHEN kind = 'payment' THEN 1 ELSE -1 END";
        let part =
            |operator: &str| Expr::cust(format!("CAST(SUM((amount_minor {operator} 1000000000) * {sign}) AS bigint)"));
        let sums = entries
            .select_only()
            .expr_as(Expr::cust("substr(received_on, 1, 7)"), "month")
            .column(payment::Column::Currency)
            .expr_as(Func::count(Expr::col(payment::Column::Id)), "n")
            .expr_as(part("/"), "hi")
            .expr_as(part("%"), "lo")
            .expr_as(Expr::cust("CAST(0 AS bigint)"), "weighted_hi")
            .expr_as(Expr::cust("CAST(0 AS bigint)"), "weighted_lo")
            .group_by(Expr::cust("substr(received_on, 1, 7)"))
            .group_by(payment::Column::Currency)
            .order_by_asc(Expr::cust("substr(received_on, 1, 7)"))
            .order_by_asc(payment::Column::Currency)
            .limit(MAX_ROWS);
        let sums = if sees_all(access, &[Permission::DealRead, Permission::ReportRead, Permission::PaymentRead]) {
            self.core.rollup_revenue(conn, access, span).await?
        } else {
            sums.into_model::<MonthSum>().all(conn).await?
        };
        let show = |sum: MonthSum| {
            let amount = sum.currency.format(join_parts(sum.hi, sum.lo));
            MonthAmount {
                month: sum.month,
                count: to_u64(sum.n),
                weighted: amount.clone(),
                amount,
                currency: sum.currency,
            }
        };
        Ok(sort_by_month(sums.into_iter().map(show).collect()))
    }

    /// The stages of open deals.
    async fn open_stages(&self, org: OrganizationId) -> Result<Vec<StageId>> {
        let open = stage::Entity::find()
            .select_only()
            .column(stage::Column::Id)
            .filter(stage::COLUMN.org_id.eq(org))
            .filter(stage::COLUMN.kind.eq(DealStatus::Open));
        Ok(open.into_tuple().all(self.core.db.conn()).await?)
    }

    /// The totals of open deals, per currency.
    async fn open_totals(&self, access: &Access) -> Result<Vec<Total>> {
        if sees_all(access, &PERMISSIONS) {
            let stages = self.open_stages(access.org.id).await?;
            return self.core.rollup_totals(self.core.db.conn(), access, stages).await;
        }
        self.totals(reported_deals(access).filter(deal::COLUMN.status.eq(DealStatus::Open))).await
    }

    /// Sorts sums by currency and descending amount, and adds the people.
    async fn rank_members(&self, mut sums: Vec<MemberSum>) -> Result<Vec<(MemberSum, Option<Person>)>> {
        let members: Vec<MemberId> = sums.iter().map(|sum| sum.member).collect();
        let people = self.core.members_as_people(self.core.db.conn(), members).await?;
        sums.sort_by(|one, other| {
            let amount = |sum: &MemberSum| std::cmp::Reverse(join_parts(sum.hi, sum.lo));
            (&one.currency, amount(one), one.member).cmp(&(&other.currency, amount(other), other.member))
        });
        let with_person = |sum: MemberSum| {
            let person = people.get(sum.member);
            (sum, person)
        };
        Ok(sums.into_iter().map(with_person).collect())
    }
}

/// The permissions that determine the deals of a report.
const PERMISSIONS: [Permission; 2] = [Permission::DealRead, Permission::ReportRead];

/// Sorts by month and currency; amounts without a month come last.
fn sort_by_month(mut months: Vec<MonthAmount>) -> Vec<MonthAmount> {
    months.sort_by(|one, other| {
        let key = |month: &MonthAmount| (month.month.is_none(), month.month.clone(), month.currency.clone());
        key(one).cmp(&key(other))
    });
    months
}

/// The deals of the caller's reports: those in the scope of both permissions.
fn reported_deals(access: &Access) -> Select<deal::Entity> {
    access.deals().filter(access.deals_in_scope(Permission::ReportRead))
}

/// The ids of [`reported_deals`].
fn reported_deal_ids(access: &Access) -> SelectStatement {
    reported_deals(access).select_only().column(deal::Column::Id).into_query()
}

/// The ids of the reported deals whose payments the caller may see.
fn deals_with_payments(access: &Access) -> SelectStatement {
    let deals = reported_deals(access).filter(access.deals_in_scope(Permission::PaymentRead));
    deals.select_only().column(deal::Column::Id).into_query()
}

/// The sum of an SQL expression, in two parts.
fn sum_of(expr: &str) -> [(SimpleExpr, &'static str); 2] {
    [
        (Expr::cust(format!("CAST(SUM({expr} / 1000000000) AS bigint)")), "hi"),
        (Expr::cust(format!("CAST(SUM({expr} % 1000000000) AS bigint)")), "lo"),
    ]
}

#[async_trait]
impl Reports for SqlReports {
    async fn pipeline_report(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: Option<PipelineId>,
    ) -> Result<PipelineReport> {
        let conn = self.core.db.conn();
        let access = self.reporting(caller, org).await?;
        let default = || {
            pipeline::Entity::find()
                .filter(pipeline::COLUMN.org_id.eq(org))
                .filter(pipeline::COLUMN.is_default.eq(true))
        };
        let row = match pipeline {
            Some(id) => pipelines::find(conn, &access, id).await?,
            None => default().one(conn).await?.ok_or(Error::NotFound("pipeline"))?,
        };
        let deals = || reported_deals(&access).filter(deal::COLUMN.pipeline_id.eq(row.id));
        let stages = stages_of(conn, row.id).await?;
        let is_open = |stage: &&stage::Model| stage.kind == DealStatus::Open;
        let (mut sums, open) = if sees_all(&access, &PERMISSIONS) {
            let by_stage =
                self.core.rollup_totals_by_stage(conn, &access, stages.iter().map(|stage| stage.id), true).await?;
            let open = stages.iter().filter(is_open).map(|stage| stage.id);
            (by_stage, self.core.rollup_totals(conn, &access, open).await?)
        } else {
            let open = self.totals(deals().filter(deal::COLUMN.status.eq(DealStatus::Open))).await?;
            (sums::by_stage(deals(), conn).await?, open)
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
        self.revenue_of(&access, &span).await
    }

    async fn forecast(&self, caller: &Caller, org: OrganizationId) -> Result<Vec<MonthAmount>> {
        let access = self.reporting(caller, org).await?;
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
            let stages = self.open_stages(org).await?;
            self.core.rollup_months(self.core.db.conn(), &access, stages).await?
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
        let conn = self.core.db.conn();
        let access = self.reporting(caller, org).await?;
        let span = self.span(&access.org, period)?;
        let counted = reported_deals(&access)
            .filter(deal::COLUMN.created_at.gte(span.begin))
            .filter(deal::COLUMN.created_at.lt(span.end))
            .select_only()
            .column(deal::Column::Status)
            .expr_as(Func::count(Expr::col(deal::Column::Id)), "n")
            .group_by(deal::Column::Status)
            .into_model::<Counted>()
            .all(conn)
            .await?;
        let count = |status| counted.iter().find(|row| row.status == status).map_or(0, |row| to_u64(row.n));
        let (open, won, lost) = (count(DealStatus::Open), count(DealStatus::Won), count(DealStatus::Lost));
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
            .into_model::<Entered>()
            .all(conn)
            .await?;
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
        let days = |count: i64| self.core.now().unix_micros() - count * DAY;
        let age = format!(
            "CASE WHEN closed_at >= {} THEN 0 WHEN closed_at >= {} THEN 1 WHEN closed_at >= {} THEN 2 ELSE 3 END",
            days(31),
            days(61),
            days(91)
        );
        let mut select = reported_deals(&access)
            .filter(access.deals_in_scope(Permission::PaymentRead))
            .filter(deal::COLUMN.status.eq(DealStatus::Won))
            .filter(Expr::col(deal::Column::ValueMinor).gt(Expr::col(deal::Column::ReceivedMinor)))
            .select_only()
            .column(deal::Column::Currency)
            .expr_as(Expr::cust(age.clone()), "age")
            .expr_as(Func::count(Expr::col(deal::Column::Id)), "n");
        for (expr, name) in sum_of("(value_minor - received_minor)") {
            select = select.expr_as(expr, name);
        }
        let sums = select
            .group_by(deal::Column::Currency)
            .group_by(Expr::cust(age))
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
        for (expr, name) in sum_of("value_minor") {
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
        for (expr, name) in sum_of("amount_minor") {
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
        let conn = self.core.db.conn();
        let access = self.reporting(caller, org).await?;
        let span = self.span(&access.org, period)?;
        let open = self.open_totals(&access).await?;
        let won = reported_deals(&access)
            .filter(deal::COLUMN.status.eq(DealStatus::Won))
            .filter(deal::COLUMN.closed_at.gte(span.begin))
            .filter(deal::COLUMN.closed_at.lt(span.end));
        let won = self.totals(won).await?;
        let sees_payments = access.may(Permission::PaymentRead).is_ok();
        let revenue = if sees_payments { self.revenue_of(&access, &span).await? } else { Vec::new() };
        let payments_pending = if sees_payments {
            let pending = payment::Entity::find()
                .filter(payment::COLUMN.org_id.eq(org))
                .filter(Expr::cust("deals_payment.state = 'pending' AND NOT deals_payment.is_reversed"))
                .filter(payment::Column::DealId.in_subquery(deals_with_payments(&access)));
            pending.count(conn).await?
        } else {
            0
        };
        let sql = format!(
            "SELECT COUNT(*) FROM deals_task WHERE org_id = $1 AND assignee_id = $2 AND due_key < $3 \
             AND done_at IS NULL AND {TASK_TARGET_IS_LIVE}"
        );
        let late = scalar_i64(conn, sql, [org.into(), access.member.id.into(), self.core.now().into()]).await?;
        Ok(Dashboard { open, won, revenue, payments_pending, tasks_late: to_u64(late) })
    }
}
