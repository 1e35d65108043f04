//! The list of groups.

use guildhall_kernel::{Caller, Ordering, Page, PageQuery, PageTemplate, search::SearchQuery};
use sea_orm::{ColumnTrait, Condition, QueryFilter, Select};

use super::{
    SqlGroups,
    show::{GroupWithRole, with_own_role},
};
use crate::{
    core::scope::{Viewer, ViewerKind, joined_by, visible_groups},
    entity::group,
    error::Result,
    groups::GroupFilter,
};

const ORDERING: Ordering<'static, group::Column> = Ordering {
    fields: &[("id", group::Column::Id), ("name", group::Column::NameKey), ("created_at", group::Column::CreatedAt)],
    default: "-created_at",
    id: group::Column::Id,
};

/// The list without filters.
static ALL_GROUPS: PageTemplate<ViewerKind, GroupWithRole, group::Entity> =
    PageTemplate::new(ORDERING, |kind: &ViewerKind, ids| visible_groups(kind.split(ids).0))
        .with(|groups, kind, ids| with_own_role(groups, kind.split(ids).0));

impl SqlGroups {
    /// One page of the groups that the viewer may see and that match a filter.
    pub(super) async fn page_of_groups(
        &self,
        caller: Option<Caller>,
        viewer: Viewer,
        filter: GroupFilter,
        page: &PageQuery,
    ) -> Result<Page<GroupWithRole>> {
        let (conn, kind) = (self.core.db.conn(), viewer.kind());
        if filter.is_empty() {
            return Ok(Page::fetch_template(&ALL_GROUPS, (&kind, &viewer.with_ids(&[])), page, conn).await?);
        }
        let select = self.filtered_groups(caller, viewer, filter);
        Ok(Page::fetch_with(select, |rows| with_own_role(rows, viewer), &ORDERING, page, conn).await?)
    }

    fn filtered_groups(&self, caller: Option<Caller>, viewer: Viewer, filter: GroupFilter) -> Select<group::Entity> {
        let mut select = visible_groups(viewer);
        if let Some(category) = filter.category.filter(|category| !category.is_empty()) {
            select = select.filter(group::COLUMN.category.eq(category));
        }
        if let Some(search) = filter.search.filter(|search| !search.trim().is_empty()) {
            select = self.core.matching_groups(select, SearchQuery::parse(&search).as_ref());
        }
        if let (Some(is_member), Some(caller)) = (filter.joined, caller) {
            let joined = Condition::all().add(group::Column::Id.in_subquery(joined_by(caller.user)));
            select = select.filter(if is_member { joined } else { joined.not() });
        }
        select
    }
}
