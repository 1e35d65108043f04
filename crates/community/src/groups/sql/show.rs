//! Groups as the viewer sees them.

use std::collections::HashMap;

use guildhall_files::FileId;
use guildhall_kernel::{
    Person, Timestamp, UserId,
    db::{self, Pipeline, QueryTemplate},
};
use sea_orm::{
    ColumnTrait, DerivePartialModel, EntityTrait, FromQueryResult, PartialModelTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait, SelectStatement},
};

use super::SqlGroups;
use crate::{
    core::{
        access::own_role,
        scope::{Viewer, ViewerKind, visible_courses, visible_groups},
    },
    entity::{
        course,
        group::{self, Posting},
        group_course,
        membership::{self, Role},
    },
    error::{Error, Result},
    groups::Group,
    id::GroupId,
};

/// The columns of [`Group`].
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "group::Entity")]
pub(crate) struct GroupRow {
    pub(crate) id: GroupId,
    pub(crate) name: String,
    pub(crate) slug: String,
    pub(crate) description: String,
    pub(crate) category: String,
    pub(crate) is_private: bool,
    pub(crate) is_listed: bool,
    pub(crate) is_corporate_group: bool,
    pub(crate) creator_id: Option<UserId>,
    pub(crate) max_members: Option<i64>,
    pub(crate) posting: Posting,
    pub(crate) approves_posts: bool,
    pub(crate) members_invite: bool,
    pub(crate) member_count: i64,
    pub(crate) post_count: i64,
    pub(crate) image_id: Option<FileId>,
    pub(crate) banner_id: Option<FileId>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl From<group::Model> for GroupRow {
    fn from(row: group::Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            slug: row.slug,
            description: row.description,
            category: row.category,
            is_private: row.is_private,
            is_listed: row.is_listed,
            is_corporate_group: row.is_corporate_group,
            creator_id: row.creator_id,
            max_members: row.max_members,
            posting: row.posting,
            approves_posts: row.approves_posts,
            members_invite: row.members_invite,
            member_count: row.member_count,
            post_count: row.post_count,
            image_id: row.image_id,
            banner_id: row.banner_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A group with the viewer's role in it.
#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct GroupWithRole {
    #[sea_orm(nested)]
    pub(crate) row: GroupRow,
    pub(crate) own_role: Option<Role>,
}

impl PartialModelTrait for GroupWithRole {
    fn select_cols_nested<S: QuerySelect>(select: S, prefix: Option<&str>, alias: Option<&'static str>) -> S {
        GroupRow::select_cols_nested(select, prefix, alias)
    }
}

/// The columns of groups, with the viewer's role in each.
pub(crate) fn rows_of(groups: Select<group::Entity>, viewer: Viewer) -> Select<group::Entity> {
    with_own_role(GroupWithRole::select_cols(groups.select_only()), viewer)
}

/// Adds the viewer's role to each group.
pub(super) fn with_own_role(groups: Select<group::Entity>, viewer: Viewer) -> Select<group::Entity> {
    groups.expr_as(own_role(viewer.id()), "own_role")
}

static GROUP: QueryTemplate<ViewerKind> = QueryTemplate::new(|kind, ids| {
    let (viewer, [id]) = kind.split(ids) else { return SelectStatement::new() };
    rows_of(visible_groups(viewer).filter(group::COLUMN.id.eq(GroupId(*id))), viewer).into_query()
});

/// The moderators of a group.
pub(super) struct Moderators {
    pub(super) owner: Option<UserId>,
    /// Includes the owner.
    pub(super) all: Vec<UserId>,
}

/// The memberships of moderators and owners of groups.
static MODERATORS: QueryTemplate<()> = QueryTemplate::new(|(), groups| {
    let of_groups = membership::COLUMN.group_id.is_in(groups.iter().copied().map(GroupId));
    // Worded like the predicate of the partial index; a bound value would keep the planner from using it.
    let is_moderator = Expr::cust("community_membership.role <> 'member'");
    membership::Entity::find().filter(of_groups).filter(is_moderator).into_query()
});

/// The links of groups to courses visible to the viewer. Staff see all courses, so their id is not among the ids.
static COURSES: QueryTemplate<ViewerKind> = QueryTemplate::new(|kind, ids| {
    let (viewer, groups) = match kind {
        ViewerKind::Staff => (Viewer::Staff(UserId(0)), ids),
        _ => kind.split(ids),
    };
    let visible = visible_courses(viewer)
        .select_only()
        .expr(Expr::val(1))
        .filter(
            Expr::col((course::Entity, course::Column::Id))
                .eq(Expr::col((group_course::Entity, group_course::Column::CourseId))),
        )
        .into_query();
    group_course::Entity::find()
        .filter(group_course::COLUMN.group_id.is_in(groups.iter().copied().map(GroupId)))
        .filter(Expr::exists(visible))
        .order_by_asc(group_course::Column::Position)
        .into_query()
});

/// The moderators and the courses of groups.
#[derive(Default)]
struct Details {
    moderators: HashMap<GroupId, Vec<UserId>>,
    owners: HashMap<GroupId, UserId>,
    courses: HashMap<GroupId, Vec<i64>>,
}

impl Details {
    async fn load(conn: &Pipeline<'_>, groups: &[GroupId], viewer: Viewer) -> Result<Self> {
        let mut details = Self::default();
        if groups.is_empty() {
            return Ok(details);
        }
        let groups = db::pad_ids(groups.iter().map(|group| group.0));
        let kind = viewer.kind();
        let course_ids = if kind == ViewerKind::Staff { groups.clone() } else { viewer.with_ids(&groups) };
        let (moderators, courses) = tokio::try_join!(
            MODERATORS.rows::<membership::Model>(conn, &(), &groups),
            COURSES.rows::<group_course::Model>(conn, &kind, &course_ids),
        )?;
        for moderator in moderators {
            details.moderators.entry(moderator.group_id).or_default().push(moderator.user_id);
            if moderator.role == Role::Owner {
                details.owners.insert(moderator.group_id, moderator.user_id);
            }
        }
        for course in courses {
            details.courses.entry(course.group_id).or_default().push(course.course_id.0);
        }
        Ok(details)
    }
}

impl SqlGroups {
    /// The groups as the viewer sees them. The number of queries does not depend on the number of groups.
    pub(crate) async fn show_groups(
        &self,
        conn: &Pipeline<'_>,
        rows: Vec<GroupWithRole>,
        viewer: Viewer,
    ) -> Result<Vec<Group>> {
        let readable = rows.iter().filter(|group| can_read(group, viewer));
        let ids: Vec<GroupId> = readable.map(|group| group.row.id).collect();
        let details = Details::load(conn, &ids, viewer).await?;
        self.show_with_details(rows, details, viewer).await
    }

    async fn show_with_details(
        &self,
        rows: Vec<GroupWithRole>,
        mut details: Details,
        viewer: Viewer,
    ) -> Result<Vec<Group>> {
        let readable = rows.iter().filter(|group| can_read(group, viewer));
        let creators = readable.filter_map(|group| group.row.creator_id);
        let people = self.core.people(creators.chain(details.owners.values().copied())).await?;
        let show = |group: GroupWithRole| {
            let group_moderators = Moderators {
                owner: details.owners.get(&group.row.id).copied(),
                all: details.moderators.remove(&group.row.id).unwrap_or_default(),
            };
            let courses = details.courses.remove(&group.row.id).unwrap_or_default();
            self.show_group(group, group_moderators, courses, &people, viewer)
        };
        Ok(rows.into_iter().map(show).collect())
    }

    /// A group as the viewer sees it.
    pub(super) async fn find_group(&self, viewer: Viewer, id: GroupId) -> Result<Group> {
        let pipeline = self.core.pipeline();
        let row_ids = viewer.with_ids(&[id.0]);
        let row = async { Ok(GROUP.row::<GroupWithRole>(&pipeline, &viewer.kind(), &row_ids).await?) };
        let ids = [id];
        let (row, details) = tokio::try_join!(row, Details::load(&pipeline, &ids, viewer))?;
        let row = row.ok_or(Error::GroupNotFound(id))?;
        let details = if can_read(&row, viewer) { details } else { Details::default() };
        self.show_with_details(vec![row], details, viewer).await?.pop().ok_or(Error::GroupNotFound(id))
    }

    pub(super) fn show_group(
        &self,
        group: GroupWithRole,
        Moderators { owner, all: mut moderators }: Moderators,
        courses: Vec<i64>,
        people: &HashMap<UserId, Person>,
        viewer: Viewer,
    ) -> Group {
        let readable = can_read(&group, viewer);
        let GroupWithRole { row, own_role } = group;
        moderators.sort_unstable();
        let (image, banner) = self.picture_urls(&row, viewer);
        Group {
            image_url: image.as_ref().map_or_else(|| self.fallback_url(&row), |image| image.medium.clone()),
            image_urls: image,
            banner_url: banner.as_ref().map(|banner| banner.large.clone()),
            banner_urls: banner,
            creator: row.creator_id.filter(|_| readable).and_then(|id| people.get(&id)).cloned(),
            owner: owner.filter(|_| readable).and_then(|id| people.get(&id)).cloned(),
            is_member: own_role.is_some(),
            is_moderator: own_role.is_some_and(|role| role != Role::Member),
            moderators,
            courses,
            member_count: readable.then_some(row.member_count),
            post_count: readable.then_some(row.post_count),
            max_members: row.max_members.filter(|_| readable),
            id: row.id,
            name: row.name,
            slug: row.slug,
            description: row.description,
            category: row.category,
            is_private: row.is_private,
            is_listed: row.is_listed,
            is_corporate_group: row.is_corporate_group,
            posting: row.posting,
            approves_posts: row.approves_posts,
            members_invite: row.members_invite,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Whether the viewer sees more than the public details of a listed group.
fn can_read(group: &GroupWithRole, viewer: Viewer) -> bool {
    !group.row.is_private || group.own_role.is_some() || matches!(viewer, Viewer::Staff(_))
}
