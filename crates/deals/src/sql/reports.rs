//! Sums over what the caller may see, in two parts so that they never overflow, per currency so that they mean
//! something. They start from the same conditions as the lists.

use std::collections::BTreeMap;

use async_trait::async_trait;
use guildhall_kernel::{Caller, Timestamp};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
    sea_query::{Expr, ExprTrait, Func, SelectStatement, SimpleExpr},
};

use super::{
    SqlDeals,
    access::{Access, IS_ABOUT_SOMETHING},
    board::{Sum, parts, whole},
    many, number,
    pipelines::{self, stages_of},
    rollups::sees_all,
};
use crate::{
    Conversion, Currency, Dashboard, Day, DealStatus, Earned, Error, MemberId, MonthAmount, OrganizationId, Period,
    PipelineId, PipelineReport, Receivable, Reports, Result, StageEntered, StageId, StageTotals, Standing, Total,
    Verification,
    entity::{commission, deal, organization, payment, pipeline, stage, stage_change},
    money::divide_half_even,
    permission::Permission,
};

/// How many rows a report has at most.
const MOST_ROWS: u64 = 1000;
const DAY: i64 = 86_400_000_000;

/// A sum in two parts.
#[derive(Debug, FromQueryResult)]
pub(super) struct MonthSum {
    month: Option<String>,
    currency: Currency,
    n: i64,
    hi: i64,
    lo: i64,
    weighted_hi: i64,
    weighted_lo: i64,
}

#[derive(Debug, FromQueryResult)]
struct MemberSum {
    member: MemberId,
    currency: Currency,
    n: i64,
    hi: i64,
    lo: i64,
}

/// The days of a period, and the moments between which they lie.
pub(super) struct Span {
    pub(super) from: Day,
    pub(super) to: Day,
    begin: Timestamp,
    end: Timestamp,
}

impl SqlDeals {
    /// A period in the time zone of an organization: the year until today, where nothing else is said.
    fn span(&self, org: &organization::Model, period: Period) -> Result<Span> {
        let to = period.to.unwrap_or_else(|| org.day(self.now()));
        let from = match period.from {
            Some(from) => from,
            None => org.day(Timestamp::from_unix_micros(org.begin(&to).unix_micros().saturating_sub(365 * DAY))),
        };
        if from > to {
            return Err(Error::field("from", "It is after the end."));
        }
        let (begin, end) = (org.begin(&from), org.end(&to));
        Ok(Span { from, to, begin, end })
    }

    async fn reporting(&self, caller: &Caller, org: OrganizationId) -> Result<Access> {
        self.enter_to(self.db.conn(), caller, org, Permission::ReportRead).await
    }

    /// What deals are worth together, per currency.
    async fn totals(&self, deals: Select<deal::Entity>) -> Result<Vec<Total>> {
        let mut select = deals
            .select_only()
            .expr_as(Func::min(Expr::col(deal::Column::StageId)), "stage_id")
            .column(deal::Column::Currency)
            .expr_as(Func::count(Expr::col(deal::Column::Id)), "n");
        for (expr, name) in parts() {
            select = select.expr_as(expr, name);
        }
        let sums = select.group_by(deal::Column::Currency).order_by_asc(deal::Column::Currency);
        Ok(sums.into_model::<Sum>().all(self.db.conn()).await?.iter().map(Sum::show).collect())
    }

    async fn revenue_of(&self, access: &Access, span: &Span) -> Result<Vec<MonthAmount>> {
        let conn = self.db.conn();
        let entries = payment::Entity::find()
            .filter(payment::COLUMN.org_id.eq(access.org.id))
            .filter(payment::COLUMN.state.eq(Verification::Verified))
            .filter(payment::COLUMN.received_on.gte(span.from.clone()))
            .filter(payment::COLUMN.received_on.lte(span.to.clone()))
            .filter(payment::Column::DealId.in_subquery(paid(access)))
            // What takes back money that never was verified takes nothing off.
            .filter(Expr::cust(
                "(deals_payment.of_id IS NULL OR EXISTS (SELECT 1 FROM deals_payment o \
                 WHERE o.org_id = deals_payment.org_id AND o.id = deals_payment.of_id AND o.state = 'verified'))",
            ));
        let sign = "CASE WHEN kind = 'payment' THEN 1 ELSE -1 END";
        let part = |of: &str| Expr::cust(format!("CAST(SUM((amount_minor {of} 1000000000) * {sign}) AS bigint)"));
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
            .limit(MOST_ROWS);
        let sums = if sees_all(access, &[Permission::DealRead, Permission::ReportRead, Permission::PaymentRead]) {
            self.kept_revenue(conn, access, span).await?
        } else {
            sums.into_model::<MonthSum>().all(conn).await?
        };
        let show = |sum: MonthSum| {
            let amount = sum.currency.format(whole(sum.hi, sum.lo));
            MonthAmount {
                month: sum.month,
                count: many(sum.n),
                weighted: amount.clone(),
                amount,
                currency: sum.currency,
            }
        };
        Ok(by_month(sums.into_iter().map(show).collect()))
    }

    /// The stages in which deals are under way.
    async fn open_stages(&self, org: OrganizationId) -> Result<Vec<StageId>> {
        let open = stage::Entity::find()
            .select_only()
            .column(stage::Column::Id)
            .filter(stage::COLUMN.org_id.eq(org))
            .filter(stage::COLUMN.kind.eq(DealStatus::Open));
        Ok(open.into_tuple().all(self.db.conn()).await?)
    }

    /// What the deals that are under way are worth, per currency.
    async fn open_totals(&self, access: &Access) -> Result<Vec<Total>> {
        if sees_all(access, &SEEN) {
            let stages = self.open_stages(access.org.id).await?;
            return self.kept_totals(self.db.conn(), access, stages).await;
        }
        self.totals(seen(access).filter(deal::COLUMN.status.eq(DealStatus::Open))).await
    }

    /// Sums per member as they are shown, the largest first within each currency.
    async fn standings(&self, mut sums: Vec<MemberSum>) -> Result<Vec<(MemberSum, Option<guildhall_kernel::Person>)>> {
        let members: Vec<MemberId> = sums.iter().map(|sum| sum.member).collect();
        let people = self.members_as_people(self.db.conn(), members).await?;
        sums.sort_by(|one, other| {
            let amount = |sum: &MemberSum| std::cmp::Reverse(whole(sum.hi, sum.lo));
            (&one.currency, amount(one), one.member).cmp(&(&other.currency, amount(other), other.member))
        });
        let with_person = |sum: MemberSum| {
            let person = people.get(sum.member);
            (sum, person)
        };
        Ok(sums.into_iter().map(with_person).collect())
    }
}

/// What somebody has to see to be told of all deals.
const SEEN: [Permission; 2] = [Permission::DealRead, Permission::ReportRead];

/// In the order of months and currencies; what has no month stands last.
fn by_month(mut months: Vec<MonthAmount>) -> Vec<MonthAmount> {
    months.sort_by(|one, other| {
        let key = |month: &MonthAmount| (month.month.is_none(), month.month.clone(), month.currency.clone());
        key(one).cmp(&key(other))
    });
    months
}

/// The deals that a report of the caller's is about: those that both permissions reach.
fn seen(access: &Access) -> Select<deal::Entity> {
    access.deals().filter(access.reach_of_deals(Permission::ReportRead))
}

/// The numbers of the deals that a report of the caller's is about.
fn reported(access: &Access) -> SelectStatement {
    seen(access).select_only().column(deal::Column::Id).into_query()
}

/// The numbers of those of which the caller sees the payments too.
fn paid(access: &Access) -> SelectStatement {
    let deals = seen(access).filter(access.reach_of_deals(Permission::PaymentRead));
    deals.select_only().column(deal::Column::Id).into_query()
}

fn in_parts(of: &str) -> [(SimpleExpr, &'static str); 2] {
    [
        (Expr::cust(format!("CAST(SUM({of} / 1000000000) AS bigint)")), "hi"),
        (Expr::cust(format!("CAST(SUM({of} % 1000000000) AS bigint)")), "lo"),
    ]
}

#[async_trait]
impl Reports for SqlDeals {
    async fn pipeline_report(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: Option<PipelineId>,
    ) -> Result<PipelineReport> {
        let conn = self.db.conn();
        let access = self.reporting(caller, org).await?;
        let usual = || {
            pipeline::Entity::find()
                .filter(pipeline::COLUMN.org_id.eq(org))
                .filter(pipeline::COLUMN.is_default.eq(true))
        };
        let row = match pipeline {
            Some(id) => pipelines::find(conn, &access, id).await?,
            None => usual().one(conn).await?.ok_or(Error::NotFound("pipeline"))?,
        };
        let deals = || seen(&access).filter(deal::COLUMN.pipeline_id.eq(row.id));
        let stages = stages_of(conn, row.id).await?;
        let is_open = |stage: &&stage::Model| stage.kind == DealStatus::Open;
        let (mut sums, open) = if sees_all(&access, &SEEN) {
            let all = self.kept_sums(conn, &access, stages.iter().map(|stage| stage.id), true).await?;
            let open = stages.iter().filter(is_open).map(|stage| stage.id);
            (all, self.kept_totals(conn, &access, open).await?)
        } else {
            let open = self.totals(deals().filter(deal::COLUMN.status.eq(DealStatus::Open))).await?;
            (self.sums(deals(), conn).await?, open)
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
        let mut select = seen(&access)
            .filter(deal::COLUMN.status.eq(DealStatus::Open))
            .select_only()
            .expr_as(month(), "month")
            .column(deal::Column::Currency)
            .expr_as(Func::count(Expr::col(deal::Column::Id)), "n");
        for (expr, name) in parts() {
            select = select.expr_as(expr, name);
        }
        let sums = select
            .group_by(month())
            .group_by(deal::Column::Currency)
            .order_by_asc(month())
            .order_by_asc(deal::Column::Currency)
            .limit(MOST_ROWS);
        let show = |sum: MonthSum| MonthAmount {
            month: sum.month,
            count: many(sum.n),
            amount: sum.currency.format(whole(sum.hi, sum.lo)),
            weighted: sum.currency.format(divide_half_even(whole(sum.weighted_hi, sum.weighted_lo), 100)),
            currency: sum.currency,
        };
        let sums = if sees_all(&access, &SEEN) {
            let stages = self.open_stages(org).await?;
            self.kept_months(self.db.conn(), &access, stages).await?
        } else {
            sums.into_model::<MonthSum>().all(self.db.conn()).await?
        };
        Ok(by_month(sums.into_iter().map(show).collect()))
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
        let conn = self.db.conn();
        let access = self.reporting(caller, org).await?;
        let span = self.span(&access.org, period)?;
        let counted = seen(&access)
            .filter(deal::COLUMN.created_at.gte(span.begin))
            .filter(deal::COLUMN.created_at.lt(span.end))
            .select_only()
            .column(deal::Column::Status)
            .expr_as(Func::count(Expr::col(deal::Column::Id)), "n")
            .group_by(deal::Column::Status)
            .into_model::<Counted>()
            .all(conn)
            .await?;
        let of = |status| counted.iter().find(|row| row.status == status).map_or(0, |row| many(row.n));
        let (open, won, lost) = (of(DealStatus::Open), of(DealStatus::Won), of(DealStatus::Lost));
        let stages = stage_change::Entity::find()
            .filter(stage_change::COLUMN.org_id.eq(org))
            .filter(stage_change::COLUMN.moved_at.gte(span.begin))
            .filter(stage_change::COLUMN.moved_at.lt(span.end))
            .filter(stage_change::Column::DealId.in_subquery(reported(&access)))
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
            stages: stages.into_iter().map(|row| StageEntered { name: row.to_name, count: many(row.n) }).collect(),
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
        let days = |count: i64| self.now().unix_micros() - count * DAY;
        let age = format!(
            "CASE WHEN closed_at >= {} THEN 0 WHEN closed_at >= {} THEN 1 WHEN closed_at >= {} THEN 2 ELSE 3 END",
            days(31),
            days(61),
            days(91)
        );
        let mut select = seen(&access)
            .filter(access.reach_of_deals(Permission::PaymentRead))
            .filter(deal::COLUMN.status.eq(DealStatus::Won))
            .filter(Expr::col(deal::Column::ValueMinor).gt(Expr::col(deal::Column::ReceivedMinor)))
            .select_only()
            .column(deal::Column::Currency)
            .expr_as(Expr::cust(age.clone()), "age")
            .expr_as(Func::count(Expr::col(deal::Column::Id)), "n");
        for (expr, name) in in_parts("(value_minor - received_minor)") {
            select = select.expr_as(expr, name);
        }
        let sums = select
            .group_by(deal::Column::Currency)
            .group_by(Expr::cust(age))
            .into_model::<Aged>()
            .all(self.db.conn())
            .await?;
        let mut by_currency: BTreeMap<Currency, (u64, [i128; 4])> = BTreeMap::new();
        for sum in sums {
            let (count, ages) = by_currency.entry(sum.currency).or_default();
            *count += many(sum.n);
            if let Some(age) = usize::try_from(sum.age).ok().and_then(|age| ages.get_mut(age)) {
                *age += whole(sum.hi, sum.lo);
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

    async fn leaderboard(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Vec<Standing>> {
        let access = self.reporting(caller, org).await?;
        let span = self.span(&access.org, period)?;
        let mut select = seen(&access)
            .filter(deal::COLUMN.status.eq(DealStatus::Won))
            .filter(deal::COLUMN.closed_at.gte(span.begin))
            .filter(deal::COLUMN.closed_at.lt(span.end))
            .select_only()
            .column_as(deal::Column::OwnerId, "member")
            .column(deal::Column::Currency)
            .expr_as(Func::count(Expr::col(deal::Column::Id)), "n");
        for (expr, name) in in_parts("value_minor") {
            select = select.expr_as(expr, name);
        }
        let sums = select.group_by(deal::Column::OwnerId).group_by(deal::Column::Currency).limit(MOST_ROWS);
        let sums = sums.into_model::<MemberSum>().all(self.db.conn()).await?;
        let show = |(sum, member): (MemberSum, Option<guildhall_kernel::Person>)| Standing {
            member_id: sum.member,
            member,
            won: many(sum.n),
            value: sum.currency.format(whole(sum.hi, sum.lo)),
            currency: sum.currency,
        };
        Ok(self.standings(sums).await?.into_iter().map(show).collect())
    }

    async fn commission(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Vec<Earned>> {
        let conn = self.db.conn();
        let access = self.enter_to(conn, caller, org, Permission::CommissionRead).await?;
        let span = self.span(&access.org, period)?;
        let mut entries = commission::Entity::find()
            .filter(commission::COLUMN.org_id.eq(org))
            .filter(commission::COLUMN.earned_on.gte(span.from))
            .filter(commission::COLUMN.earned_on.lte(span.to))
            // What is in the trash is in no sum.
            .filter(Expr::cust(
                "EXISTS (SELECT 1 FROM deals_deal d WHERE d.org_id = deals_commission.org_id \
                 AND d.id = deals_commission.deal_id AND d.deleted_at IS NULL)",
            ));
        if let Some(members) = access.reached_members(Permission::CommissionRead) {
            entries = entries.filter(commission::COLUMN.member_id.is_in(members));
        }
        let mut select = entries
            .select_only()
            .column_as(commission::Column::MemberId, "member")
            .column(commission::Column::Currency)
            .expr_as(Func::count(Expr::col(commission::Column::Id)), "n");
        for (expr, name) in in_parts("amount_minor") {
            select = select.expr_as(expr, name);
        }
        let sums =
            select.group_by(commission::Column::MemberId).group_by(commission::Column::Currency).limit(MOST_ROWS);
        let sums = sums.into_model::<MemberSum>().all(conn).await?;
        let show = |(sum, member): (MemberSum, Option<guildhall_kernel::Person>)| Earned {
            member_id: sum.member,
            member,
            count: many(sum.n),
            amount: sum.currency.format(whole(sum.hi, sum.lo)),
            currency: sum.currency,
        };
        Ok(self.standings(sums).await?.into_iter().map(show).collect())
    }

    async fn dashboard(&self, caller: &Caller, org: OrganizationId, period: Period) -> Result<Dashboard> {
        let conn = self.db.conn();
        let access = self.reporting(caller, org).await?;
        let span = self.span(&access.org, period)?;
        let open = self.open_totals(&access).await?;
        let won = seen(&access)
            .filter(deal::COLUMN.status.eq(DealStatus::Won))
            .filter(deal::COLUMN.closed_at.gte(span.begin))
            .filter(deal::COLUMN.closed_at.lt(span.end));
        let won = self.totals(won).await?;
        let sees_money = access.may(Permission::PaymentRead).is_ok();
        let revenue = if sees_money { self.revenue_of(&access, &span).await? } else { Vec::new() };
        let payments_pending = if sees_money {
            let pending = payment::Entity::find()
                .filter(payment::COLUMN.org_id.eq(org))
                .filter(Expr::cust("deals_payment.state = 'pending' AND NOT deals_payment.is_reversed"))
                .filter(payment::Column::DealId.in_subquery(paid(&access)));
            pending.count(conn).await?
        } else {
            0
        };
        let sql = format!(
            "SELECT COUNT(*) FROM deals_task WHERE org_id = $1 AND assignee_id = $2 AND due_key < $3 \
             AND done_at IS NULL AND {IS_ABOUT_SOMETHING}"
        );
        let late = number(conn, sql, [org.into(), access.member.id.into(), self.now().into()]).await?;
        Ok(Dashboard { open, won, revenue, payments_pending, tasks_late: many(late) })
    }
}
