//! Creating, listing, changing and deleting groups.

use std::collections::HashMap;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    self as kernel, Caller, IfMatch, Ordering, Page, PageQuery, Person, Quota, UserId, audit, text,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Unchanged},
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, PartialModelTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select, Set, SqlErr, Statement,
    sea_query::{Alias, Asterisk, Expr, ExprTrait, Func},
};

use super::{
    GroupAccess, SqlCommunity, own_role,
    rsvps::delete_outsider_rsvps_of_group,
    scope::{Viewer, joined_by, visible_courses, visible_groups},
    search::matching_groups,
};
use crate::{
    CategoryCount, Deletion, Error, Group, GroupFilter, GroupId, GroupPatch, Groups, NewGroup, Result,
    entity::{
        course, group, group_course,
        membership::{self, Role},
    },
    event::{GroupChanged, GroupCreated, GroupDeleted},
    model::{GroupRow, GroupWithRole},
    search,
};

/// The maximum number of categories listed.
const MAX_CATEGORIES: u64 = 100;

/// The row of a new group. Its creator is counted as a member, but the membership is stored separately.
pub(super) fn new_group(
    new: &NewGroup,
    slug: &str,
    creator: Option<UserId>,
    now: kernel::Timestamp,
) -> group::ActiveModel {
    let name = new.name.trim();
    group::ActiveModel {
        id: NotSet,
        name: Set(name.to_owned()),
        name_key: Set(text::fold(name)),
        slug: Set(slug.to_owned()),
        description: Set(new.description.clone()),
        category: Set(new.category.trim().to_owned()),
        is_private: Set(new.is_private),
        is_listed: Set(new.is_private && new.is_listed),
        is_corporate_group: Set(new.is_corporate_group),
        creator_id: Set(creator),
        max_members: Set(new.max_members),
        posting: Set(new.posting),
        approves_posts: Set(new.approves_posts),
        members_invite: Set(new.members_invite),
        member_count: Set(i64::from(creator.is_some())),
        post_count: Set(0),
        search_text: Set(search::index(&format!("{name} {}", new.description))),
        image_id: Set(None),
        banner_id: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
    }
}

/// Adds the viewer's role to each group.
fn with_own_role(groups: Select<group::Entity>, viewer: Viewer) -> Select<group::Entity> {
    groups.expr_as(own_role(viewer.id()), "own_role")
}

/// The moderators of a group.
struct Moderators {
    owner: Option<UserId>,
    /// Includes the owner.
    all: Vec<UserId>,
}

/// The memberships of moderators and owners of these groups.
fn moderators_of(groups: &[GroupId]) -> Select<membership::Entity> {
    let of_groups = membership::COLUMN.group_id.is_in(groups.iter().copied());
    // Worded like the predicate of the partial index; a bound value would keep the planner from using it.
    membership::Entity::find().filter(of_groups).filter(Expr::cust("community_membership.role <> 'member'"))
}

/// The links of these groups to courses visible to the viewer.
fn courses_of(groups: &[GroupId], viewer: Viewer) -> Select<group_course::Entity> {
    let visible = visible_courses(viewer)
        .select_only()
        .expr(Expr::val(1))
        .filter(
            Expr::col((course::Entity, course::Column::Id))
                .eq(Expr::col((group_course::Entity, group_course::Column::CourseId))),
        )
        .into_query();
    group_course::Entity::find()
        .filter(group_course::COLUMN.group_id.is_in(groups.iter().copied()))
        .filter(Expr::exists(visible))
        .order_by_asc(group_course::Column::Position)
}

fn is_slug_conflict(error: &Error) -> bool {
    let cause = match error {
        Error::Database(cause) => cause.sql_err(),
        _ => None,
    };
    matches!(cause, Some(SqlErr::UniqueConstraintViolation(message)) if message.contains("slug"))
}

/// Counts everything that is deleted with a group, in one statement.
const COUNT_DELETION: &str = "SELECT \
    (SELECT COUNT(*) FROM community_membership WHERE group_id = $1) AS members, \
    (SELECT COUNT(*) FROM community_membership WHERE group_id = $1 AND role <> 'member') AS moderators, \
    (SELECT COUNT(*) FROM community_join_request WHERE group_id = $1) AS requests, \
    (SELECT COUNT(*) FROM community_invite WHERE group_id = $1) AS invites, \
    (SELECT COUNT(*) FROM community_ban WHERE group_id = $1) AS bans, \
    (SELECT COUNT(*) FROM community_post WHERE group_id = $1) AS posts, \
    (SELECT COUNT(*) FROM community_comment c JOIN community_post p ON p.id = c.post_id WHERE p.group_id = $1) \
        AS comments, \
    (SELECT COUNT(*) FROM community_reaction r JOIN community_post p ON p.id = r.post_id WHERE p.group_id = $1) \
        AS reactions, \
    (SELECT COUNT(*) FROM community_attachment a JOIN community_post p ON p.id = a.post_id WHERE p.group_id = $1) \
        AS attachments, \
    (SELECT COUNT(image_id) + COUNT(banner_id) FROM community_group WHERE id = $1) AS pictures, \
    (SELECT COUNT(*) FROM community_group_course WHERE group_id = $1) AS courses, \
    (SELECT COUNT(*) FROM community_event WHERE group_id = $1) AS events, \
    (SELECT COUNT(*) FROM community_report WHERE group_id = $1) AS reports";

async fn count_deletion(conn: &impl ConnectionTrait, id: GroupId) -> Result<Deletion> {
    let count = Statement::from_sql_and_values(conn.get_database_backend(), COUNT_DELETION, [id.into()]);
    Ok(Deletion::find_by_statement(count).one(conn).await?.unwrap_or_default())
}

impl SqlCommunity {
    /// Creates and deletes a group in a transaction that is rolled back, to check that both work.
    ///
    /// # Errors
    /// Any error that creating or deleting the group would cause.
    pub async fn dry_run(&self) -> Result<()> {
        let [_, slug] = text::slugs("dry-run", "group")?;
        let new = NewGroup {
            name: "dry-run".to_owned(),
            category: "general".to_owned(),
            is_private: true,
            ..NewGroup::default()
        };
        let row = &new_group(&new, &slug, None, self.host.clock.now());
        self.db
            .dry_run(|tx| async move {
                let conn = &tx;
                let id = row.clone().insert(conn).await?.id;
                let deleted = group::Entity::delete_by_id(id).exec(conn).await?;
                if deleted.rows_affected == 1 { Ok(()) } else { Err(Error::GroupNotFound(id)) }
            })
            .await
    }

    async fn insert(&self, caller: &Caller, new: &NewGroup, slug: &str) -> Result<GroupRow> {
        let now = self.host.clock.now();
        let row = &new_group(new, slug, Some(caller.user), now);
        self.db
            .write(|tx| async move {
                let quota = Quota::per_day("groups", self.settings.groups_per_day.into());
                quota.take(&tx, caller.user, 1, now).await?;
                let row = row.clone().insert(&tx).await?;
                let owner = membership::ActiveModel {
                    id: NotSet,
                    group_id: Set(row.id),
                    user_id: Set(caller.user),
                    role: Set(Role::Owner),
                    joined_at: Set(now),
                };
                owner.insert(&tx).await?;
                tx.emit(&GroupCreated { group: row.id, creator: caller.user }).await?;
                Ok(GroupRow::from(row))
            })
            .await
    }

    /// The groups as the viewer sees them. The number of queries does not depend on the number of groups.
    pub(super) async fn show_groups(&self, rows: Vec<GroupWithRole>, viewer: Viewer) -> Result<Vec<Group>> {
        let readable: Vec<&GroupWithRole> = rows.iter().filter(|group| can_read(group, viewer)).collect();
        let ids: Vec<GroupId> = readable.iter().map(|group| group.row.id).collect();
        let mut moderators: HashMap<GroupId, Vec<UserId>> = HashMap::new();
        let mut owners: HashMap<GroupId, UserId> = HashMap::new();
        let mut courses: HashMap<GroupId, Vec<i64>> = HashMap::new();
        if !ids.is_empty() {
            for moderator in moderators_of(&ids).all(self.db.conn()).await? {
                moderators.entry(moderator.group_id).or_default().push(moderator.user_id);
                if moderator.role == Role::Owner {
                    owners.insert(moderator.group_id, moderator.user_id);
                }
            }
            for course in courses_of(&ids, viewer).all(self.db.conn()).await? {
                courses.entry(course.group_id).or_default().push(course.course_id.0);
            }
        }
        let creators = readable.iter().filter_map(|group| group.row.creator_id);
        let people = self.people(creators.chain(owners.values().copied())).await?;
        let show = |group: GroupWithRole| {
            let group_moderators = Moderators {
                owner: owners.get(&group.row.id).copied(),
                all: moderators.remove(&group.row.id).unwrap_or_default(),
            };
            let courses = courses.remove(&group.row.id).unwrap_or_default();
            self.show_group(group, group_moderators, courses, &people, viewer)
        };
        Ok(rows.into_iter().map(show).collect())
    }

    /// A group as the viewer sees it.
    pub(super) async fn find_group(&self, viewer: Viewer, id: GroupId) -> Result<Group> {
        let query = GroupWithRole::select_cols(visible_groups(viewer).filter(group::COLUMN.id.eq(id)).select_only());
        let row = with_own_role(query, viewer).into_model::<GroupWithRole>().one(self.db.conn()).await?;
        let row = row.ok_or(Error::GroupNotFound(id))?;
        self.show_groups(vec![row], viewer).await?.pop().ok_or(Error::GroupNotFound(id))
    }

    fn show_group(
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

/// The update of a group's row.
fn apply_patch(group: &group::Model, patch: &GroupPatch, now: kernel::Timestamp) -> group::ActiveModel {
    let name = patch.name.as_ref().map_or(group.name.as_str(), |name| name.trim());
    let description = patch.description.as_ref().unwrap_or(&group.description);
    let is_private = patch.is_private.unwrap_or(group.is_private);
    let is_listed = is_private && patch.is_listed.unwrap_or(group.is_listed);
    let search_text = search::index(&format!("{name} {description}"));
    group::ActiveModel {
        id: Unchanged(group.id),
        name: Set(name.to_owned()),
        name_key: Set(text::fold(name)),
        description: Set(description.clone()),
        category: Set(patch.category.as_ref().map_or(group.category.as_str(), |category| category.trim()).to_owned()),
        is_private: Set(is_private),
        is_listed: Set(is_listed),
        is_corporate_group: Set(patch.is_corporate_group.unwrap_or(group.is_corporate_group)),
        max_members: Set(patch.max_members.unwrap_or(group.max_members)),
        posting: Set(patch.posting.unwrap_or(group.posting)),
        approves_posts: Set(patch.approves_posts.unwrap_or(group.approves_posts)),
        members_invite: Set(patch.members_invite.unwrap_or(group.members_invite)),
        search_text: if search_text == group.search_text { NotSet } else { Set(search_text) },
        updated_at: Set(now),
        ..Default::default()
    }
}

#[async_trait]
impl Groups for SqlCommunity {
    async fn create_group(&self, caller: &Caller, new: NewGroup) -> Result<Group> {
        new.validate()?;
        let [plain, distinct] = text::slugs(&new.name, "group")?;
        // The slug of a hidden group must not reveal its name: if the plain slug were taken, others could notice.
        let hidden = new.is_private && !new.is_listed;
        let slug = if hidden { &distinct } else { &plain };
        let row = match self.insert(caller, &new, slug).await {
            Err(error) if !hidden && is_slug_conflict(&error) => self.insert(caller, &new, &distinct).await?,
            outcome => outcome?,
        };
        let people = self.people([caller.user]).await?;
        let group = GroupWithRole { row, own_role: Some(Role::Owner) };
        let moderators = Moderators { owner: Some(caller.user), all: vec![caller.user] };
        Ok(self.show_group(group, moderators, Vec::new(), &people, caller.into()))
    }

    async fn groups(&self, viewer: Option<Caller>, filter: GroupFilter, page: PageQuery) -> Result<Page<Group>> {
        let caller = viewer;
        let viewer = self.viewer(viewer)?;
        let mut select = visible_groups(viewer);
        if let Some(category) = filter.category.filter(|category| !category.is_empty()) {
            select = select.filter(group::COLUMN.category.eq(category));
        }
        if let Some(search) = filter.search.filter(|search| !search.trim().is_empty()) {
            select = matching_groups(select, &search, self.db.backend());
        }
        if let (Some(is_member), Some(caller)) = (filter.joined, caller) {
            let joined = Condition::all().add(group::Column::Id.in_subquery(joined_by(caller.user)));
            select = select.filter(if is_member { joined } else { joined.not() });
        }
        let ordering = Ordering {
            fields: &[
                ("id", group::Column::Id),
                ("name", group::Column::NameKey),
                ("created_at", group::Column::CreatedAt),
            ],
            default: "-created_at",
            id: group::Column::Id,
        };
        let own_role = |rows| with_own_role(rows, viewer);
        let page = Page::<GroupWithRole>::fetch_with(select, own_role, &ordering, &page, self.db.conn()).await?;
        let (rows, page) = page.take();
        let groups = self.show_groups(rows, viewer).await?;
        Ok(page.with(|_| groups))
    }

    async fn categories(&self, viewer: Option<Caller>) -> Result<Vec<CategoryCount>> {
        let group_count = Alias::new("group_count");
        let categories = visible_groups(self.viewer(viewer)?)
            .select_only()
            .column(group::Column::Category)
            .expr_as(Func::count(Expr::col(Asterisk)), "group_count")
            .group_by(group::Column::Category)
            .order_by_desc(Expr::col(group_count))
            .order_by_asc(group::Column::Category)
            .limit(MAX_CATEGORIES);
        Ok(categories.into_model::<CategoryCount>().all(self.db.conn()).await?)
    }

    async fn group(&self, viewer: Option<Caller>, id: GroupId) -> Result<Group> {
        self.find_group(self.viewer(viewer)?, id).await
    }

    async fn change_group(&self, caller: &Caller, id: GroupId, patch: GroupPatch, known: IfMatch) -> Result<Group> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        self.db
            .write(|tx| async move {
                let conn = &tx;
                let mut access = GroupAccess::load_for_update(conn, caller, id).await?.require_moderator()?;
                if patch.needs_owner() {
                    access = access.require_owner()?;
                }
                let group = access.group;
                known.check(group.updated_at)?;
                if let Some(Some(max_members)) = patch.max_members
                    && max_members < group.member_count
                {
                    let message = format!("The group already has {} members.", group.member_count);
                    return Err(Error::field("max_members", message));
                }
                let now = self.host.clock.now();
                let row = apply_patch(&group, patch, now);
                group::Entity::update(row).exec_without_returning(conn).await?;
                tx.emit(&GroupChanged { group: id, actor: caller.user }).await?;
                if !group.is_private && patch.is_private == Some(true) {
                    delete_outsider_rsvps_of_group(conn, id, now).await?;
                }
                Ok(())
            })
            .await?;
        self.find_group(caller.into(), id).await
    }

    async fn preview_deletion(&self, caller: &Caller, id: GroupId) -> Result<Deletion> {
        GroupAccess::load(self.db.conn(), caller, id).await?.require_owner()?;
        count_deletion(self.db.conn(), id).await
    }

    async fn delete_group(&self, caller: &Caller, id: GroupId, known: IfMatch) -> Result<()> {
        let known = &known;
        let deleted = self
            .db
            .write(|tx| async move {
                let conn = &tx;
                let access = GroupAccess::load_for_update(conn, caller, id).await?.require_owner()?;
                known.check(access.group.updated_at)?;
                // Counted for the log. The rows are deleted by foreign keys, and the files by triggers.
                let deleted = count_deletion(conn, id).await?;
                group::Entity::delete_by_id(id).exec(conn).await?;
                tx.emit(&GroupDeleted { group: id, actor: caller.user }).await?;
                let event = audit::AuditEvent::new("community.delete_group").by(caller).with("group", id.0);
                event.with("name", access.group.name).record(conn, self.host.clock.now()).await?;
                Ok::<_, Error>(deleted)
            })
            .await?;
        tracing::info!(group.id = id.0, user.id = caller.user.0, ?deleted, "group deleted");
        Ok(())
    }
}
