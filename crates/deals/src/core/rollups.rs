//! Stored totals: the deals of each stage, and the verified revenue of each day. Database triggers update them in the
//! transaction of the change. They cover a whole organization, so they are used only for callers who see all of it; for
//! others the rows are summed.

use std::collections::HashMap;

use guildhall_kernel::db;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, Func, SelectStatement},
};

use crate::{
    OrganizationId, Result, StageId, Total,
    core::{
        access::Access,
        sums::{MonthSum, Span, Sum},
    },
    entity::{revenue, rollup},
    permission::{Permission, Scope},
};

/// Whether the caller has all of these permissions for the whole organization.
pub(crate) fn sees_all(access: &Access, permissions: &[Permission]) -> bool {
    permissions.iter().all(|permission| access.grants.scope(*permission) == Some(Scope::All))
}

/// The stored totals of stages, to be grouped.
fn stage_totals(access: &Access) -> Select<rollup::Entity> {
    let sum = |column: rollup::Column| db::cast_sum(Expr::col(column));
    rollup::Entity::find()
        .filter(rollup::COLUMN.org_id.eq(access.org.id))
        .filter(rollup::COLUMN.n.gt(0))
        .select_only()
        .column(rollup::Column::Currency)
        .expr_as(sum(rollup::Column::N), "n")
        .expr_as(sum(rollup::Column::Hi), "hi")
        .expr_as(sum(rollup::Column::Lo), "lo")
        .expr_as(sum(rollup::Column::WeightedHi), "weighted_hi")
        .expr_as(sum(rollup::Column::WeightedLo), "weighted_lo")
}

/// The number of deals of an organization that are neither archived nor in the trash.
pub(crate) fn deal_count(ids: &[i64]) -> SelectStatement {
    rollup::Entity::find()
        .filter(rollup::COLUMN.org_id.is_in(ids.iter().copied().map(OrganizationId)))
        .filter(rollup::COLUMN.is_archived.eq(false))
        .select_only()
        .expr(db::cast_sum(Expr::col(rollup::Column::N)))
        .into_query()
}

/// The stored totals of stages, by stage and currency; `archived` includes archived deals.
pub(crate) async fn rollup_totals_by_stage(
    conn: &impl ConnectionTrait,
    access: &Access,
    stages: impl IntoIterator<Item = StageId>,
    archived: bool,
) -> Result<HashMap<StageId, Vec<Total>>> {
    let mut select = stage_totals(access).column(rollup::Column::StageId).filter(rollup::COLUMN.stage_id.is_in(stages));
    if !archived {
        select = select.filter(rollup::COLUMN.is_archived.eq(false));
    }
    let grouped = select.group_by(rollup::Column::StageId).group_by(rollup::Column::Currency);
    let mut by_stage: HashMap<StageId, Vec<Total>> = HashMap::new();
    for sum in grouped.into_model::<Sum>().all(conn).await? {
        by_stage.entry(sum.stage_id).or_default().push(sum.show());
    }
    for totals in by_stage.values_mut() {
        totals.sort_by(|one, other| one.currency.cmp(&other.currency));
    }
    Ok(by_stage)
}

/// The stored totals of stages taken together, by currency.
pub(crate) async fn rollup_totals(
    conn: &impl ConnectionTrait,
    access: &Access,
    stages: impl IntoIterator<Item = StageId>,
) -> Result<Vec<Total>> {
    let select = stage_totals(access)
        .expr_as(Func::min(Expr::col(rollup::Column::StageId)), "stage_id")
        .filter(rollup::COLUMN.stage_id.is_in(stages))
        .group_by(rollup::Column::Currency);
    let mut totals: Vec<Total> = select.into_model::<Sum>().all(conn).await?.iter().map(Sum::show).collect();
    totals.sort_by(|one, other| one.currency.cmp(&other.currency));
    Ok(totals)
}

/// The stored totals of stages taken together, by expected month and currency.
pub(crate) async fn rollup_months(
    conn: &impl ConnectionTrait,
    access: &Access,
    stages: impl IntoIterator<Item = StageId>,
) -> Result<Vec<MonthSum>> {
    let select = stage_totals(access)
        .expr_as(Expr::cust("NULLIF(month, '~')"), "month")
        .filter(rollup::COLUMN.stage_id.is_in(stages))
        .group_by(Expr::cust("NULLIF(month, '~')"))
        .group_by(rollup::Column::Currency);
    Ok(select.into_model::<MonthSum>().all(conn).await?)
}

/// The stored revenue of a period, by month and currency.
pub(crate) async fn rollup_revenue(conn: &impl ConnectionTrait, access: &Access, span: &Span) -> Result<Vec<MonthSum>> {
    let month = || Expr::cust("substr(day, 1, 7)");
    let sum = |column: revenue::Column| db::cast_sum(Expr::col(column));
    let select = revenue::Entity::find()
        .filter(revenue::COLUMN.org_id.eq(access.org.id))
        .filter(revenue::COLUMN.day.gte(span.from.clone()))
        .filter(revenue::COLUMN.day.lte(span.to.clone()))
        .filter(revenue::COLUMN.n.gt(0))
        .select_only()
        .expr_as(month(), "month")
        .column(revenue::Column::Currency)
        .expr_as(sum(revenue::Column::N), "n")
        .expr_as(sum(revenue::Column::Hi), "hi")
        .expr_as(sum(revenue::Column::Lo), "lo")
        .expr_as(Expr::cust("CAST(0 AS bigint)"), "weighted_hi")
        .expr_as(Expr::cust("CAST(0 AS bigint)"), "weighted_lo")
        .group_by(month())
        .group_by(revenue::Column::Currency);
    Ok(select.into_model::<MonthSum>().all(conn).await?)
}
