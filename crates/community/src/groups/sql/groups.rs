//! Creating, listing, changing and deleting groups.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery, Quota, Timestamp, UserId, audit, db, search, text};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set, SqlErr,
    sea_query::{Alias, Asterisk, Expr, Func},
};

use super::{
    SqlGroups,
    show::{GroupRow, GroupWithRole, Moderators, rows_of},
};
use crate::{
    core::{access::GroupAccess, rsvps::delete_outsider_rsvps_of_group, scope::visible_groups},
    entity::{
        group,
        membership::{self, Role},
    },
    error::{Error, Result},
    event::{GroupChanged, GroupCreated, GroupDeleted},
    groups::{CategoryCount, Deletion, Group, GroupFilter, GroupPatch, Groups, NewGroup},
    id::GroupId,
};

/// The maximum number of categories listed.
const MAX_CATEGORIES: u64 = 100;
/// How many groups can be read by their ids at once.
const MAX_IDS: usize = 100;

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

/// The row of a new group. Its creator is counted as a member, but the membership is stored separately.
fn new_group(new: &NewGroup, slug: &str, creator: Option<UserId>, now: Timestamp) -> group::ActiveModel {
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
        search_text: Set(search_text(name, &new.description)),
        image_id: Set(None),
        banner_id: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
    }
}

/// The group after a change.
fn apply_patch(group: &group::Model, patch: &GroupPatch, now: Timestamp) -> group::Model {
    let mut after = group.clone();
    if let Some(name) = &patch.name {
        name.trim().clone_into(&mut after.name);
        after.name_key = text::fold(&after.name);
    }
    if let Some(description) = &patch.description {
        after.description.clone_from(description);
    }
    if let Some(category) = &patch.category {
        category.trim().clone_into(&mut after.category);
    }
    if let Some(is_private) = patch.is_private {
        after.is_private = is_private;
    }
    if let Some(is_listed) = patch.is_listed {
        after.is_listed = is_listed;
    }
    after.is_listed &= after.is_private;
    if let Some(is_corporate_group) = patch.is_corporate_group {
        after.is_corporate_group = is_corporate_group;
    }
    if let Some(max_members) = patch.max_members {
        after.max_members = max_members;
    }
    if let Some(posting) = patch.posting {
        after.posting = posting;
    }
    if let Some(approves_posts) = patch.approves_posts {
        after.approves_posts = approves_posts;
    }
    if let Some(members_invite) = patch.members_invite {
        after.members_invite = members_invite;
    }
    after.search_text = search_text(&after.name, &after.description);
    after.updated_at = now;
    after
}

fn search_text(name: &str, description: &str) -> String {
    search::terms(&format!("{name} {description}"))
}

fn is_slug_conflict(error: &Error) -> bool {
    let cause = match error {
        Error::Database(cause) => cause.sql_err(),
        _ => None,
    };
    matches!(cause, Some(SqlErr::UniqueConstraintViolation(message)) if message.contains("slug"))
}

async fn count_deletion(conn: &impl ConnectionTrait, id: GroupId) -> Result<Deletion> {
    Ok(db::row(conn, COUNT_DELETION, [id.into()]).await?.unwrap_or_default())
}

impl SqlGroups {
    /// Creates and deletes a group in a transaction that is rolled back, to check that both work.
    pub(crate) async fn dry_run(&self) -> Result<()> {
        let [_, slug] = text::slugs("dry-run", "group")?;
        let new = NewGroup {
            name: "dry-run".to_owned(),
            category: "general".to_owned(),
            is_private: true,
            ..NewGroup::default()
        };
        let row = &new_group(&new, &slug, None, self.core.now());
        self.core
            .db
            .dry_run(|tx| async move {
                let conn = &tx;
                let id = row.clone().insert(conn).await?.id;
                let deleted = group::Entity::delete_by_id(id).exec(conn).await?;
                if deleted.rows_affected == 1 { Ok(()) } else { Err(Error::GroupNotFound(id)) }
            })
            .await
    }

    async fn insert(&self, caller: &Caller, new: &NewGroup, slug: &str) -> Result<GroupRow> {
        let now = self.core.now();
        let row = &new_group(new, slug, Some(caller.user), now);
        self.core
            .write(|tx| async move {
                let quota = Quota::per_day("groups", self.core.settings.groups_per_day.into());
                let pipeline = tx.pipeline();
                let (quota, row) =
                    tokio::join!(quota.consume(&pipeline, caller.user, 1, now), db::insert(&pipeline, row.clone()));
                // The row first: a conflict of the slug is the error of all statements that were sent together.
                let row = row?;
                quota?;
                let owner = membership::ActiveModel {
                    id: NotSet,
                    group_id: Set(row.id),
                    user_id: Set(caller.user),
                    role: Set(Role::Owner),
                    joined_at: Set(now),
                };
                db::insert_only(&tx.deferred(), owner).await?;
                tx.emit(&GroupCreated { group: row.id, creator: caller.user }).await?;
                Ok(GroupRow::from(row))
            })
            .await
    }
}

#[async_trait]
impl Groups for SqlGroups {
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
        let people = self.core.people([caller.user]).await?;
        let group = GroupWithRole { row, own_role: Some(Role::Owner) };
        let moderators = Moderators { owner: Some(caller.user), all: vec![caller.user] };
        Ok(self.show_group(group, moderators, Vec::new(), &people, caller.into()))
    }

    async fn groups(&self, viewer: Option<Caller>, filter: GroupFilter, page: PageQuery) -> Result<Page<Group>> {
        let caller = viewer;
        let viewer = self.core.viewer(caller)?;
        let page = self.page_of_groups(caller, viewer, filter, &page).await?;
        let (rows, page) = page.split();
        let groups = self.show_groups(&self.core.pipeline(), rows, viewer).await?;
        Ok(page.with_results(|_| groups))
    }

    async fn categories(&self, viewer: Option<Caller>) -> Result<Vec<CategoryCount>> {
        let group_count = Alias::new("group_count");
        let categories = visible_groups(self.core.viewer(viewer)?)
            .select_only()
            .column(group::Column::Category)
            .expr_as(Func::count(Expr::col(Asterisk)), "group_count")
            .group_by(group::Column::Category)
            .order_by_desc(Expr::col(group_count))
            .order_by_asc(group::Column::Category)
            .limit(MAX_CATEGORIES);
        Ok(categories.into_model::<CategoryCount>().all(self.core.db.conn()).await?)
    }

    async fn group(&self, viewer: Option<Caller>, id: GroupId) -> Result<Group> {
        self.find_group(self.core.viewer(viewer)?, id).await
    }

    async fn groups_by_id(&self, viewer: Option<Caller>, ids: Vec<GroupId>) -> Result<Vec<Group>> {
        let viewer = self.core.viewer(viewer)?;
        let with_ids = group::COLUMN.id.is_in(ids.into_iter().take(MAX_IDS));
        let select = rows_of(visible_groups(viewer).filter(with_ids), viewer);
        let rows = select.into_model::<GroupWithRole>().all(self.core.db.conn()).await?;
        self.show_groups(&self.core.pipeline(), rows, viewer).await
    }

    async fn change_group(&self, caller: &Caller, id: GroupId, patch: GroupPatch, known: IfMatch) -> Result<Group> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        self.core
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
                let now = self.core.now();
                db::store_changes(conn, &group, &apply_patch(&group, patch, now)).await?;
                let became_private = !group.is_private && patch.is_private == Some(true);
                tx.emit(&GroupChanged { group: id, actor: caller.user, became_private }).await?;
                if became_private {
                    delete_outsider_rsvps_of_group(conn, id, now).await?;
                }
                Ok(())
            })
            .await?;
        self.find_group(caller.into(), id).await
    }

    async fn preview_deletion(&self, caller: &Caller, id: GroupId) -> Result<Deletion> {
        GroupAccess::load(self.core.db.conn(), caller, id).await?.require_owner()?;
        count_deletion(self.core.db.conn(), id).await
    }

    async fn delete_group(&self, caller: &Caller, id: GroupId, known: IfMatch) -> Result<()> {
        GroupAccess::load(self.core.db.conn(), caller, id).await?.require_owner()?;
        // Counted for the log, before the transaction: other writers should not wait for it. A group that takes too long
        // to count can still be deleted.
        let deleted = count_deletion(self.core.db.conn(), id).await.ok();
        let known = &known;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let access = GroupAccess::load_for_update(conn, caller, id).await?.require_owner()?;
                known.check(access.group.updated_at)?;
                // Other rows are deleted by foreign keys, and files by triggers.
                group::Entity::delete_by_id(id).exec(&tx.deferred()).await?;
                tx.emit(&GroupDeleted { group: id, actor: caller.user }).await?;
                let event = audit::AuditEvent::new("community.delete_group").by(caller).with("group", id.0);
                Ok::<_, Error>(event.with("name", access.group.name).record(conn, self.core.now()).await?)
            })
            .await?;
        let deleted = deleted.map(tracing::field::debug);
        tracing::info!(group.id = id.0, user.id = caller.user.0, deleted, "group deleted");
        Ok(())
    }
}
