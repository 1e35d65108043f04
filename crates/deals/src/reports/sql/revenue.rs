//! The verified revenue, by month.

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Func},
};

use super::{MAX_ROWS, deals::deals_with_payments};
use crate::{
    MonthAmount, Result,
    core::{
        access::Access,
        rollups::{rollup_revenue, sees_all},
        sums::{MonthSum, Span, join_parts, parts_of_sum},
        to_u64,
    },
    entity::payment,
    ledger::sums::{is_verified, sign},
    permission::Permission,
};

/// The verified revenue of a period.
pub(super) async fn revenue_of(conn: &impl ConnectionTrait, access: &Access, span: &Span) -> Result<Vec<MonthAmount>> {
    let sums = if sees_all(access, &[Permission::DealRead, Permission::ReportRead, Permission::PaymentRead]) {
        rollup_revenue(conn, access, span).await?
    } else {
        let month = || Expr::cust("substr(received_on, 1, 7)");
        let mut select = payment::Entity::find()
            .filter(payment::COLUMN.org_id.eq(access.org.id))
            .filter(Expr::cust(is_verified!()))
            .filter(payment::COLUMN.received_on.gte(span.from.clone()))
            .filter(payment::COLUMN.received_on.lte(span.to.clone()))
            .filter(payment::Column::DealId.in_subquery(deals_with_payments(access)))
            .select_only()
            .expr_as(month(), "month")
            .column(payment::Column::Currency)
            .expr_as(Func::count(Expr::col(payment::Column::Id)), "n")
            .expr_as(Expr::cust("CAST(0 AS bigint)"), "weighted_hi")
            .expr_as(Expr::cust("CAST(0 AS bigint)"), "weighted_lo");
        for (expr, name) in parts_of_sum(Expr::col(payment::Column::AmountMinor).mul(Expr::cust(sign!()))) {
            select = select.expr_as(expr, name);
        }
        let grouped = select
            .group_by(month())
            .group_by(payment::Column::Currency)
            .order_by_asc(month())
            .order_by_asc(payment::Column::Currency)
            .limit(MAX_ROWS);
        grouped.into_model::<MonthSum>().all(conn).await?
    };
    let show = |sum: MonthSum| {
        let amount = sum.currency.format(join_parts(sum.hi, sum.lo));
        MonthAmount { month: sum.month, count: to_u64(sum.n), weighted: amount.clone(), amount, currency: sum.currency }
    };
    Ok(sort_by_month(sums.into_iter().map(show).collect()))
}
/// Sorts by month and currency; amounts without a month come last.
pub(super) fn sort_by_month(mut months: Vec<MonthAmount>) -> Vec<MonthAmount> {
    months.sort_by(|one, other| {
        let key = |month: &MonthAmount| (month.month.is_none(), month.month.clone(), month.currency.clone());
        key(one).cmp(&key(other))
    });
    months
}
