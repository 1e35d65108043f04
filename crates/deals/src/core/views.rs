//! Saved views as lists apply them.

use std::collections::BTreeMap;

use guildhall_kernel::PageQuery;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select};

use crate::{
    Error, Filter, Result, Sharing, ViewId, Viewed,
    core::access::Access,
    entity::{member, view},
};

/// The views that the caller may use.
pub(crate) fn visible_views(access: &Access) -> Select<view::Entity> {
    let mut is_visible = Condition::any()
        .add(view::COLUMN.member_id.eq(access.member.id))
        .add(view::COLUMN.shared.eq(Sharing::Organization));
    if let Some(team) = access.member.team_id {
        let teammates = member::Entity::find()
            .select_only()
            .column(member::Column::Id)
            .filter(member::COLUMN.org_id.eq(access.org.id))
            .filter(member::COLUMN.team_id.eq(team));
        let is_of_team = view::Column::MemberId.in_subquery(teammates.into_query());
        is_visible = is_visible.add(Condition::all().add(view::COLUMN.shared.eq(Sharing::Team)).add(is_of_team));
    }
    view::Entity::find().filter(view::COLUMN.org_id.eq(access.org.id)).filter(is_visible)
}

/// A view that the caller may use.
pub(crate) async fn find_view(conn: &impl ConnectionTrait, access: &Access, id: ViewId) -> Result<view::Model> {
    visible_views(access).filter(view::COLUMN.id.eq(id)).one(conn).await?.ok_or(Error::NotFound("view"))
}

/// The filters of a view.
pub(crate) fn filters_of(row: &view::Model) -> BTreeMap<String, String> {
    serde_json::from_str(&row.filters).unwrap_or_default()
}

/// Applies the saved view of `?view=` to the filters and ordering of a list. Those of the request take precedence.
pub(crate) async fn apply_view(
    conn: &impl ConnectionTrait,
    access: &Access,
    list: Viewed,
    filter: Filter,
    page: PageQuery,
) -> Result<(Filter, PageQuery)> {
    let Some(id) = filter.number("view")? else { return Ok((filter, page)) };
    let row = find_view(conn, access, ViewId(id)).await?;
    if row.entity != list {
        return Err(Error::NotFound("view"));
    }
    Ok((filter.with_defaults("view", filters_of(&row)), page.or_ordered(&row.ordering)))
}
