//! What prevents the removal of a member, and the deletion of their account.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select, sea_query::Expr,
};

use crate::{
    MemberBlocker, MemberId, OrganizationId, Result,
    entity::{deal, payment},
    sales::sql::clients::show as clients,
};

/// How many examples a blocker has.
pub(super) const EXAMPLES: usize = 5;

/// What prevents the removal of a member, by relation. Payments do not: they keep a reference to the former member.
pub(super) async fn removal_blockers(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    id: MemberId,
) -> Result<Vec<MemberBlocker>> {
    let mut blockers = Vec::new();
    for (relation, column) in [("created_by", deal::Column::CreatedBy), ("owner", deal::Column::OwnerId)] {
        blockers.extend(deal_blocker(conn, live_deals(org).filter(column.eq(id)), relation).await?);
    }
    Ok(blockers)
}

/// What prevents the deletion of a member's account. Each deal and payment counts once.
pub(super) async fn account_blockers(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    id: MemberId,
) -> Result<Vec<MemberBlocker>> {
    let either = |left: Expr, right: Expr| Condition::any().add(left).add(right);
    let condition = either(deal::Column::CreatedBy.eq(id), deal::Column::OwnerId.eq(id));
    let mut blockers: Vec<MemberBlocker> =
        deal_blocker(conn, live_deals(org).filter(condition), "owner").await?.into_iter().collect();
    let condition = either(payment::Column::RecordedBy.eq(id), payment::Column::DecidedBy.eq(id));
    blockers.extend(payment_blocker(conn, live_payments(org).filter(condition), "recorded_by").await?);
    Ok(blockers)
}

fn live_deals(org: OrganizationId) -> Select<deal::Entity> {
    deal::Entity::find().filter(deal::COLUMN.org_id.eq(org)).filter(deal::COLUMN.deleted_at.is_null())
}

/// The payments of deals that are not in the trash.
fn live_payments(org: OrganizationId) -> Select<payment::Entity> {
    let live = live_deals(org).select_only().column(deal::Column::Id).into_query();
    payment::Entity::find().filter(payment::COLUMN.org_id.eq(org)).filter(payment::Column::DealId.in_subquery(live))
}

/// Counts payments; the examples are numbers such as `TXN-0001`.
async fn payment_blocker(
    conn: &impl ConnectionTrait,
    payments: Select<payment::Entity>,
    relation: &'static str,
) -> Result<Option<MemberBlocker>> {
    let first = payments.clone().select_only().column(payment::Column::Code).order_by_asc(payment::Column::Number);
    let examples: Vec<String> = first.limit(EXAMPLES as u64).into_tuple().all(conn).await?;
    if examples.is_empty() {
        return Ok(None);
    }
    Ok(Some(MemberBlocker { model: "payment", relation, count: payments.count(conn).await?, examples }))
}

/// Counts deals; the examples are such as `DLID0001 - Global Corp`.
async fn deal_blocker(
    conn: &impl ConnectionTrait,
    deals: Select<deal::Entity>,
    relation: &'static str,
) -> Result<Option<MemberBlocker>> {
    let first = deals.clone().order_by_asc(deal::Column::Number).limit(EXAMPLES as u64).all(conn).await?;
    if first.is_empty() {
        return Ok(None);
    }
    let names = clients::names(conn, first.iter().map(|deal| deal.client_id)).await?;
    let example = |deal: &deal::Model| match names.get(&deal.client_id) {
        Some(client) => format!("{} - {client}", deal.code),
        None => deal.code.clone(),
    };
    let examples = first.iter().map(example).collect();
    Ok(Some(MemberBlocker { model: "deal", relation, count: deals.count(conn).await?, examples }))
}
