//! The deals of reports and their totals.

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, Func, SelectStatement},
};

use crate::{
    DealStatus, OrganizationId, Result, StageId, Total,
    core::{
        access::Access,
        sums::{Sum, sum_columns},
    },
    entity::{deal, stage},
    permission::Permission,
};

/// The permissions that determine the deals of a report.
pub(super) const PERMISSIONS: [Permission; 2] = [Permission::DealRead, Permission::ReportRead];

/// The deals of the caller's reports: those in the scope of both permissions.
pub(super) fn reported_deals(access: &Access) -> Select<deal::Entity> {
    access.deals().filter(access.deals_in_scope(Permission::ReportRead))
}

/// The ids of [`reported_deals`].
pub(super) fn reported_deal_ids(access: &Access) -> SelectStatement {
    reported_deals(access).select_only().column(deal::Column::Id).into_query()
}

/// The ids of the reported deals whose payments the caller may see.
pub(super) fn deals_with_payments(access: &Access) -> SelectStatement {
    let deals = reported_deals(access).filter(access.deals_in_scope(Permission::PaymentRead));
    deals.select_only().column(deal::Column::Id).into_query()
}

/// The totals of deals, per currency.
pub(super) async fn totals(conn: &impl ConnectionTrait, deals: Select<deal::Entity>) -> Result<Vec<Total>> {
    let mut select = deals
        .select_only()
        .expr_as(Func::min(Expr::col(deal::Column::StageId)), "stage_id")
        .column(deal::Column::Currency)
        .expr_as(Func::count(Expr::col(deal::Column::Id)), "n");
    for (expr, name) in sum_columns() {
        select = select.expr_as(expr, name);
    }
    let sums = select.group_by(deal::Column::Currency).order_by_asc(deal::Column::Currency);
    Ok(sums.into_model::<Sum>().all(conn).await?.iter().map(Sum::show).collect())
}

/// The stages of open deals.
pub(super) async fn open_stages(conn: &impl ConnectionTrait, org: OrganizationId) -> Result<Vec<StageId>> {
    let open = stage::Entity::find()
        .select_only()
        .column(stage::Column::Id)
        .filter(stage::COLUMN.org_id.eq(org))
        .filter(stage::COLUMN.kind.eq(DealStatus::Open));
    Ok(open.into_tuple().all(conn).await?)
}
