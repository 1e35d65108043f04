//! Groups: making, listing, changing and deleting them.

use std::collections::HashMap;

use async_trait::async_trait;
use axum::body::Bytes;
use garde::Validate;
use guildhall_kernel::{
    self as kernel, Caller, IfMatch, Ordering, Page, PageQuery, Person, Quota, Slice, SliceQuery, UserId, audit, text,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ActiveValue::Unchanged,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, PartialModelTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select, Set, SqlErr, Statement,
    sea_query::{Alias, Asterisk, Expr, ExprTrait, Func},
};

use super::{
    Seat, SqlCommunity, own_role,
    rsvps::forget_outsiders_of,
    scope::{Viewer, joined_by, known_groups, visible_courses},
    search::matching_groups,
};
use crate::{
    Ban, CategoryCount, Deletion, Error, Group, GroupFilter, GroupId, GroupPatch, Groups, Invitation, Invite, InviteId,
    IssuedInvite, JoinRequest, Joined, LogEntry, Member, MemberFilter, Membership, MembershipFilter, NewBan, NewGroup,
    NewInvite, PictureKind, RequestId, Result,
    entity::{
        course, group, group_course,
        membership::{self, Role},
    },
    model::{GroupRow, SeenRow},
    words,
};

/// How many categories are listed.
const MOST_CATEGORIES: u64 = 100;

/// The row of a new group that has nobody in it yet.
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
        search_text: Set(words::index(&format!("{name} {}", new.description))),
        image_id: Set(None),
        banner_id: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
    }
}

/// The groups with what the viewer is in each.
fn with_own_role(groups: Select<group::Entity>, viewer: Viewer) -> Select<group::Entity> {
    groups.expr_as(own_role(viewer.id()), "own_role")
}

/// Whoever looks after a group.
struct Moderators {
    owner: Option<UserId>,
    /// The owner among them.
    all: Vec<UserId>,
}

/// Whoever looks after these groups.
fn moderators_of(groups: &[GroupId]) -> Select<membership::Entity> {
    let of_groups = membership::COLUMN.group_id.is_in(groups.iter().copied());
    // As the index has it; a bound value would not do.
    membership::Entity::find().filter(of_groups).filter(Expr::cust("community_membership.role <> 'member'"))
}

/// The courses of these groups, as far as the viewer may know of them.
fn courses_of(groups: &[GroupId], viewer: Viewer) -> Select<group_course::Entity> {
    let known = visible_courses(viewer)
        .select_only()
        .expr(Expr::val(1))
        .filter(
            Expr::col((course::Entity, course::Column::Id))
                .eq(Expr::col((group_course::Entity, group_course::Column::CourseId))),
        )
        .into_query();
    group_course::Entity::find()
        .filter(group_course::COLUMN.group_id.is_in(groups.iter().copied()))
        .filter(Expr::exists(known))
        .order_by_asc(group_course::Column::Position)
}

fn is_taken(error: &Error) -> bool {
    let cause = match error {
        Error::Database(cause) => cause.sql_err(),
        _ => None,
    };
    matches!(cause, Some(SqlErr::UniqueConstraintViolation(which)) if which.contains("slug"))
}

/// What hangs on a group, counted in one statement.
const WHAT_GOES: &str = "SELECT \
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

async fn what_goes(conn: &impl ConnectionTrait, id: GroupId) -> Result<Deletion> {
    let count = Statement::from_sql_and_values(conn.get_database_backend(), WHAT_GOES, [id.into()]);
    Ok(Deletion::find_by_statement(count).one(conn).await?.unwrap_or_default())
}

impl SqlCommunity {
    /// Makes a group and takes it away again, to show that both can be done; nothing is stored.
    ///
    /// # Errors
    /// Whatever keeps groups from being made or deleted.
    pub async fn rehearse(&self) -> Result<()> {
        let [_, slug] = text::slugs("rehearsal", "group")?;
        let new = NewGroup {
            name: "rehearsal".to_owned(),
            category: "general".to_owned(),
            is_private: true,
            ..NewGroup::default()
        };
        let row = &new_group(&new, &slug, None, self.host.clock.now());
        self.db
            .rehearse(|tx| async move {
                let conn = tx.conn();
                let made = row.clone().insert(conn).await?.id;
                let gone = group::Entity::delete_by_id(made).exec(conn).await?;
                if gone.rows_affected == 1 { Ok(()) } else { Err(Error::GroupNotFound(made)) }
            })
            .await
    }

    async fn insert(&self, caller: &Caller, new: &NewGroup, slug: &str) -> Result<GroupRow> {
        let now = self.host.clock.now();
        let row = &new_group(new, slug, Some(caller.user), now);
        self.db
            .write(|tx| async move {
                let quota = Quota::per_day("groups", self.settings.groups_per_day.into());
                quota.take(tx.conn(), caller.user, 1, now).await?;
                let row = row.clone().insert(tx.conn()).await?;
                let owner = membership::ActiveModel {
                    id: NotSet,
                    group_id: Set(row.id),
                    user_id: Set(caller.user),
                    role: Set(Role::Owner),
                    joined_at: Set(now),
                };
                owner.insert(tx.conn()).await?;
                Ok(GroupRow::from(row))
            })
            .await
    }

    /// The groups as the viewer sees them, in three statements however many there are.
    pub(super) async fn show_groups(&self, rows: Vec<SeenRow>, viewer: Viewer) -> Result<Vec<Group>> {
        let seen_into: Vec<&SeenRow> = rows.iter().filter(|seen| sees_into(seen, viewer)).collect();
        let ids: Vec<GroupId> = seen_into.iter().map(|seen| seen.row.id).collect();
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
        let creators = seen_into.iter().filter_map(|seen| seen.row.creator_id);
        let people = self.people(creators.chain(owners.values().copied())).await?;
        let show = |seen: SeenRow| {
            let staff = Moderators {
                owner: owners.get(&seen.row.id).copied(),
                all: moderators.remove(&seen.row.id).unwrap_or_default(),
            };
            let courses = courses.remove(&seen.row.id).unwrap_or_default();
            self.view(seen, staff, courses, &people, viewer)
        };
        Ok(rows.into_iter().map(show).collect())
    }

    /// One group as the viewer sees it.
    pub(super) async fn find_group(&self, viewer: Viewer, id: GroupId) -> Result<Group> {
        let found = SeenRow::select_cols(known_groups(viewer).filter(group::COLUMN.id.eq(id)).select_only());
        let row = with_own_role(found, viewer).into_model::<SeenRow>().one(self.db.conn()).await?;
        let row = row.ok_or(Error::GroupNotFound(id))?;
        self.show_groups(vec![row], viewer).await?.pop().ok_or(Error::GroupNotFound(id))
    }

    fn view(
        &self,
        seen: SeenRow,
        Moderators { owner, all: mut moderators }: Moderators,
        courses: Vec<i64>,
        people: &HashMap<UserId, Person>,
        viewer: Viewer,
    ) -> Group {
        let inside = sees_into(&seen, viewer);
        let SeenRow { row, own_role } = seen;
        moderators.sort_unstable();
        let (image, banner) = self.picture_urls(&row, viewer);
        Group {
            image_url: image.as_ref().map_or_else(|| self.fallback_url(&row), |image| image.medium.clone()),
            image_urls: image,
            banner_url: banner.as_ref().map(|banner| banner.large.clone()),
            banner_urls: banner,
            creator: row.creator_id.filter(|_| inside).and_then(|id| people.get(&id)).cloned(),
            owner: owner.filter(|_| inside).and_then(|id| people.get(&id)).cloned(),
            is_member: own_role.is_some(),
            is_moderator: own_role.is_some_and(|role| role != Role::Member),
            moderators,
            courses,
            member_count: inside.then_some(row.member_count),
            post_count: inside.then_some(row.post_count),
            max_members: row.max_members.filter(|_| inside),
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

/// More than the card?
fn sees_into(seen: &SeenRow, viewer: Viewer) -> bool {
    !seen.row.is_private || seen.own_role.is_some() || matches!(viewer, Viewer::Staff(_))
}

#[async_trait]
impl Groups for SqlCommunity {
    async fn create_group(&self, caller: &Caller, new: NewGroup) -> Result<Group> {
        new.validate()?;
        let [plain, distinct] = text::slugs(&new.name, "group")?;
        // Of a group that nobody may know of not even the name: the plain slug, once taken, would tell it.
        let hidden = new.is_private && !new.is_listed;
        let first = if hidden { &distinct } else { &plain };
        let row = match self.insert(caller, &new, first).await {
            Err(error) if !hidden && is_taken(&error) => self.insert(caller, &new, &distinct).await?,
            outcome => outcome?,
        };
        let people = self.people([caller.user]).await?;
        let seen = SeenRow { row, own_role: Some(Role::Owner) };
        let staff = Moderators { owner: Some(caller.user), all: vec![caller.user] };
        Ok(self.view(seen, staff, Vec::new(), &people, caller.into()))
    }

    async fn groups(&self, viewer: Option<Caller>, filter: GroupFilter, page: PageQuery) -> Result<Page<Group>> {
        let caller = viewer;
        let viewer = self.viewer(viewer)?;
        let mut select = known_groups(viewer);
        if let Some(category) = filter.category.filter(|category| !category.is_empty()) {
            select = select.filter(group::COLUMN.category.eq(category));
        }
        if let Some(search) = filter.search.filter(|search| !search.trim().is_empty()) {
            select = matching_groups(select, &search, self.db.backend());
        }
        if let (Some(wanted), Some(caller)) = (filter.joined, caller) {
            let joined = Condition::all().add(group::Column::Id.in_subquery(joined_by(caller.user)));
            select = select.filter(if wanted { joined } else { joined.not() });
        }
        let ordering = Ordering {
            fields: &[
                ("id", group::Column::Id),
                ("name", group::Column::NameKey),
                ("created_at", group::Column::CreatedAt),
            ],
            usual: "-created_at",
            id: group::Column::Id,
        };
        let own_role = |rows| with_own_role(rows, viewer);
        let page = Page::<SeenRow>::fetch_with(select, own_role, &ordering, &page, self.db.conn()).await?;
        let (rows, page) = page.take();
        let groups = self.show_groups(rows, viewer).await?;
        Ok(page.with(|_| groups))
    }

    async fn categories(&self, viewer: Option<Caller>) -> Result<Vec<CategoryCount>> {
        let count = Alias::new("group_count");
        let counted = known_groups(self.viewer(viewer)?)
            .select_only()
            .column(group::Column::Category)
            .expr_as(Func::count(Expr::col(Asterisk)), "group_count")
            .group_by(group::Column::Category)
            .order_by_desc(Expr::col(count))
            .order_by_asc(group::Column::Category)
            .limit(MOST_CATEGORIES);
        Ok(counted.into_model::<CategoryCount>().all(self.db.conn()).await?)
    }

    async fn group(&self, viewer: Option<Caller>, id: GroupId) -> Result<Group> {
        self.find_group(self.viewer(viewer)?, id).await
    }

    async fn change_group(&self, caller: &Caller, id: GroupId, patch: GroupPatch, known: IfMatch) -> Result<Group> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let mut seat = Seat::take(conn, caller, id).await?.moderator()?;
                if patch.is_owners() {
                    seat = seat.owner()?;
                }
                let group = seat.group;
                known.check(group.updated_at)?;
                if let Some(Some(most)) = patch.max_members
                    && most < group.member_count
                {
                    let message = format!("There are {} in the group already.", group.member_count);
                    return Err(Error::field("max_members", message));
                }
                let now = self.host.clock.now();
                let row = changed(&group, patch, now);
                group::Entity::update(row).exec_without_returning(conn).await?;
                if !group.is_private && patch.is_private == Some(true) {
                    forget_outsiders_of(conn, id, now).await?;
                }
                Ok(())
            })
            .await?;
        self.find_group(caller.into(), id).await
    }

    async fn preview_deletion(&self, caller: &Caller, id: GroupId) -> Result<Deletion> {
        Seat::look(self.db.conn(), caller, id).await?.owner()?;
        what_goes(self.db.conn(), id).await
    }

    async fn delete_group(&self, caller: &Caller, id: GroupId, known: IfMatch) -> Result<()> {
        let known = &known;
        let gone = self
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                let seat = Seat::take(conn, caller, id).await?.owner()?;
                known.check(seat.group.updated_at)?;
                // Counted for the logs. What goes goes by foreign keys, whoever removes the group; its files
                // by triggers.
                let gone = what_goes(conn, id).await?;
                group::Entity::delete_by_id(id).exec(conn).await?;
                let event = audit::Event::new("community.delete_group").by(caller).with("group", id.0);
                event.with("name", seat.group.name).record(conn, self.host.clock.now()).await?;
                Ok::<_, Error>(gone)
            })
            .await?;
        tracing::info!(group.id = id.0, user.id = caller.user.0, ?gone, "a group was deleted");
        Ok(())
    }

    async fn set_picture(&self, caller: &Caller, id: GroupId, kind: PictureKind, content: Bytes) -> Result<Group> {
        self.put_picture(caller, id, kind, content).await?;
        self.find_group(caller.into(), id).await
    }

    async fn remove_picture(&self, caller: &Caller, id: GroupId, kind: PictureKind) -> Result<()> {
        self.take_picture_down(caller, id, kind).await
    }

    async fn join(&self, caller: &Caller, id: GroupId, token: Option<String>, note: String) -> Result<Joined> {
        self.join_group(caller, id, token, note).await
    }

    async fn leave(&self, caller: &Caller, id: GroupId) -> Result<bool> {
        self.leave_group(caller, id).await
    }

    async fn members(
        &self,
        caller: &Caller,
        id: GroupId,
        filter: MemberFilter,
        page: PageQuery,
    ) -> Result<Page<Member>> {
        self.members_of(caller, id, filter, page).await
    }

    async fn remove_member(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<()> {
        self.expel(caller, id, user).await
    }

    async fn add_moderator(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<Group> {
        self.set_role(caller, id, user, Role::Moderator).await?;
        self.find_group(caller.into(), id).await
    }

    async fn remove_moderator(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<()> {
        self.set_role(caller, id, user, Role::Member).await
    }

    async fn transfer(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<Group> {
        self.hand_over(caller, id, user).await?;
        self.find_group(caller.into(), id).await
    }

    async fn memberships(
        &self,
        caller: &Caller,
        filter: MembershipFilter,
        page: PageQuery,
    ) -> Result<Page<Membership>> {
        self.list_memberships(caller, filter, page).await
    }

    async fn requests(&self, caller: &Caller, id: GroupId, page: PageQuery) -> Result<Page<JoinRequest>> {
        self.list_requests(caller, id, page).await
    }

    async fn decide_request(
        &self,
        caller: &Caller,
        id: GroupId,
        request: RequestId,
        approve: bool,
    ) -> Result<JoinRequest> {
        self.settle_request(caller, id, request, approve).await
    }

    async fn invite(&self, caller: &Caller, id: GroupId, new: NewInvite) -> Result<IssuedInvite> {
        self.issue_invite(caller, id, new).await
    }

    async fn invites(&self, caller: &Caller, id: GroupId, page: PageQuery) -> Result<Page<Invite>> {
        self.list_invites(caller, id, page).await
    }

    async fn revoke_invite(&self, caller: &Caller, id: GroupId, invite: InviteId) -> Result<()> {
        self.withdraw_invite(caller, id, invite).await
    }

    async fn revoke_token(&self, caller: &Caller, id: GroupId, token: String) -> Result<()> {
        self.withdraw_token(caller, id, &token).await
    }

    async fn accept_invite(&self, caller: &Caller, token: String) -> Result<Group> {
        let id = self.use_token(caller, None, &token).await?;
        self.find_group(caller.into(), id).await
    }

    async fn invitations(&self, caller: &Caller) -> Result<Vec<Invitation>> {
        self.list_invitations(caller).await
    }

    async fn ban(&self, caller: &Caller, id: GroupId, new: NewBan) -> Result<Ban> {
        self.keep_out(caller, id, new).await
    }

    async fn unban(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<()> {
        self.let_back(caller, id, user).await
    }

    async fn bans(&self, caller: &Caller, id: GroupId, page: PageQuery) -> Result<Page<Ban>> {
        self.list_bans(caller, id, page).await
    }

    async fn log(&self, caller: &Caller, id: GroupId, slice: SliceQuery) -> Result<Slice<LogEntry>> {
        self.read_log(caller, id, slice).await
    }
}

/// The row of a group after a change.
fn changed(group: &group::Model, patch: &GroupPatch, now: kernel::Timestamp) -> group::ActiveModel {
    let name = patch.name.as_ref().map_or(group.name.as_str(), |name| name.trim());
    let description = patch.description.as_ref().unwrap_or(&group.description);
    let is_private = patch.is_private.unwrap_or(group.is_private);
    let is_listed = is_private && patch.is_listed.unwrap_or(group.is_listed);
    let search_text = words::index(&format!("{name} {description}"));
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
