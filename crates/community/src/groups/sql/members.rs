//! Members of groups and their roles.

use async_trait::async_trait;
use guildhall_kernel::{
    Caller, Ordering, Page, PageQuery, Timestamp, UserId,
    db::{self, Tx},
    text,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DerivePartialModel, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
    sea_query::{Alias, Expr, ExprTrait, Query},
};

use super::{SqlGroups, accept::consume_personal_invite, requests::store_request};
use crate::{
    core::{
        access::GroupAccess,
        invites::revoke_from,
        membership::{
            add_member, close_request, delete_membership, is_banned, membership_of, role_of, role_of_next_member,
        },
        moderation_log::ModerationEntry,
        scope::joined_by,
    },
    entity::{
        group,
        join_request::RequestStatus,
        membership::{self, Role},
    },
    error::{Error, Result},
    event::{MemberLeft, MemberRemoved, RoleChanged},
    groups::{Group, Joined, Member, MemberFilter, Members, Membership, MembershipFilter},
    id::GroupId,
};

/// The maximum number of moderators of a group. Lists of groups include the ids of all moderators.
const MAX_MODERATORS: u64 = 100;

/// The columns of a [`Member`] and of a [`Membership`].
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "membership::Entity")]
struct MemberRow {
    id: i64,
    group_id: GroupId,
    user_id: UserId,
    role: Role,
    joined_at: Timestamp,
}

async fn change_role(tx: &Tx, group: GroupId, user: UserId, role: Role) -> Result<()> {
    membership::Entity::update_many()
        .col_expr(membership::Column::Role, Expr::value(role))
        .filter(membership_of(group, user))
        .exec(&tx.deferred())
        .await?;
    Ok(())
}

/// Locks and loads a group that the caller wants to join. Also returns whether they are banned, and the role that they
/// would have. 404 if there is no such group.
async fn load_to_join(tx: &Tx, caller: &Caller, id: GroupId, now: Timestamp) -> Result<(GroupAccess, bool, Role)> {
    db::lock::<group::Entity>(tx, id).await?;
    let pipeline = tx.pipeline();
    let (access, is_banned, next_role) = tokio::join!(
        GroupAccess::load_unchecked(&pipeline, caller, id),
        is_banned(&pipeline, id, caller.user, now),
        role_of_next_member(&pipeline, id),
    );
    Ok((access?, is_banned?, next_role?))
}

async fn count_moderators(conn: &impl ConnectionTrait, group: GroupId) -> Result<u64> {
    let memberships = membership::Entity::find()
        .filter(membership::COLUMN.group_id.eq(group))
        .filter(Expr::cust("community_membership.role <> 'member'"));
    Ok(memberships.count(conn).await?)
}

/// The moderator who joined the group first.
async fn oldest_moderator(conn: &impl ConnectionTrait, group: GroupId) -> Result<Option<UserId>> {
    let oldest = membership::Entity::find()
        .select_only()
        .column(membership::Column::UserId)
        .filter(membership::COLUMN.group_id.eq(group))
        .filter(membership::COLUMN.role.eq(Role::Moderator))
        .order_by_asc(membership::Column::JoinedAt)
        .order_by_asc(membership::Column::Id);
    Ok(oldest.into_tuple().one(conn).await?)
}

/// Whether a group has a moderator besides a user.
async fn has_other_moderator(conn: &impl ConnectionTrait, id: GroupId, except: UserId) -> Result<bool> {
    let other = membership::Entity::find()
        .filter(membership::COLUMN.group_id.eq(id))
        .filter(membership::COLUMN.user_id.ne(except))
        .filter(Expr::cust("community_membership.role <> 'member'"));
    Ok(other.one(conn).await?.is_some())
}

/// In the order in which they joined.
fn ordering() -> Ordering<'static, membership::Column> {
    const FIELDS: &[(&str, membership::Column)] = &[("id", membership::Column::Id)];
    Ordering { fields: FIELDS, default: "id", id: membership::Column::Id }
}

impl SqlGroups {
    /// Promotes a member to moderator, or demotes a moderator.
    async fn set_role(&self, caller: &Caller, id: GroupId, user: UserId, role: Role) -> Result<()> {
        self.core
            .write(|tx| async move {
                let conn = &tx;
                GroupAccess::load_for_update(conn, caller, id).await?.require_moderator()?;
                let previous = role_of(conn, id, user).await?;
                match (previous, role) {
                    (None | Some(Role::Member), Role::Member) => return Err(Error::NotFound("moderator")),
                    (None, _) => return Err(Error::NotInGroup),
                    (Some(Role::Owner), Role::Member) => return Err(Error::OwnerStays),
                    // The owner has all rights of a moderator.
                    (Some(Role::Owner | Role::Moderator), Role::Moderator) => return Ok(()),
                    _ => {}
                }
                if role == Role::Moderator && count_moderators(conn, id).await? >= MAX_MODERATORS {
                    let message = format!("A group can have at most {MAX_MODERATORS} moderators.");
                    return Err(Error::field("user_id", message));
                }
                change_role(conn, id, user, role).await?;
                tx.emit(&RoleChanged { group: id, user, role, actor: caller.user }).await?;
                let action = if role == Role::Moderator { "made_moderator" } else { "unmade_moderator" };
                let (group, actor, subject) = (Some(id), caller.user, Some(user));
                let entry =
                    ModerationEntry { group, actor, action, subject, target: format!("member {user}"), detail: "" };
                Ok(self.core.log_moderation(conn, entry).await?)
            })
            .await
    }

    /// Applies the filters to a list of members.
    fn filter_members(&self, members: Select<membership::Entity>, filter: &MemberFilter) -> Select<membership::Entity> {
        let mut members = members;
        if let Some(role) = filter.role {
            members = members.filter(membership::COLUMN.role.eq(role));
        }
        if let Some(search) = filter.search.as_ref().filter(|search| !search.trim().is_empty()) {
            let prefix = text::fold(search.trim());
            let end = text::after_prefix(&prefix);
            let table = self.core.host.users;
            let key = Expr::col((Alias::new(table.name), Alias::new(table.search_key)));
            let matching_users = Query::select()
                .column((Alias::new(table.name), Alias::new("id")))
                .from(Alias::new(table.name))
                .and_where(key.between(prefix, end))
                .take();
            members = members.filter(membership::Column::UserId.in_subquery(matching_users));
        }
        members
    }

    async fn show_members(&self, rows: Vec<MemberRow>) -> Result<Vec<Member>> {
        let people = self.core.people(rows.iter().map(|row| row.user_id)).await?;
        let show = |row: MemberRow| Member {
            user: people.get(&row.user_id).cloned(),
            role: row.role,
            joined_at: row.joined_at,
        };
        Ok(rows.into_iter().map(show).collect())
    }
}

#[async_trait]
impl Members for SqlGroups {
    async fn join(&self, caller: &Caller, id: GroupId, token: Option<String>, note: String) -> Result<Joined> {
        if let Some(token) = token {
            let previous = role_of(self.core.db.conn(), id, caller.user).await?;
            self.use_token(caller, Some(id), &token).await?;
            return Ok(Joined::Member { new: previous.is_none() });
        }
        text::line(0, 500)(note.as_str(), &()).map_err(|error| Error::field("note", error.message()))?;
        let (now, note) = (self.core.now(), &note);
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let (access, is_banned, next_role) = load_to_join(conn, caller, id, now).await?;
                if access.own_role.is_some() {
                    return Ok(Joined::Member { new: false });
                }
                let is_open = !access.group.is_private || access.is_staff;
                let is_invited = !is_open && consume_personal_invite(conn, id, caller.user, now).await?;
                if !is_open && !is_invited && !access.group.is_listed {
                    return Err(Error::GroupNotFound(id));
                }
                if is_banned {
                    return Err(Error::Banned);
                }
                if is_open || is_invited {
                    add_member(conn, &access.group, caller.user, next_role, None, now).await?;
                    return Ok(Joined::Member { new: true });
                }
                let request_id = store_request(conn, id, caller.user, note, now).await?;
                Ok(Joined::Requested { request_id })
            })
            .await
    }

    async fn leave(&self, caller: &Caller, id: GroupId) -> Result<bool> {
        let now = self.core.now();
        self.core
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<group::Entity>(conn, id).await?;
                let access = GroupAccess::load_unchecked(conn, caller, id).await?;
                let Some(role) = access.own_role else {
                    // The group may have been made private since they requested to join.
                    let withdrawn = close_request(conn, id, caller.user, RequestStatus::Withdrawn, None, now).await?;
                    let is_visible = withdrawn || !access.group.is_private || access.group.is_listed || access.is_staff;
                    return if is_visible { Ok(withdrawn) } else { Err(Error::GroupNotFound(id)) };
                };
                if role != Role::Member && access.group.member_count > 1 {
                    let successor = if role == Role::Owner { oldest_moderator(conn, id).await? } else { None };
                    match successor {
                        Some(successor) => {
                            // The owner leaves before the successor is promoted: a group has at most one owner.
                            delete_membership(conn, id, caller.user, now).await?;
                            change_role(conn, id, successor, Role::Owner).await?;
                            tx.emit(&MemberLeft { group: id, user: caller.user }).await?;
                            let (user, role, actor) = (successor, Role::Owner, caller.user);
                            tx.emit(&RoleChanged { group: id, user, role, actor }).await?;
                            return Ok(true);
                        }
                        None if role == Role::Owner || !has_other_moderator(conn, id, caller.user).await? => {
                            return Err(Error::LastModerator);
                        }
                        None => {}
                    }
                }
                tx.emit(&MemberLeft { group: id, user: caller.user }).await?;
                delete_membership(conn, id, caller.user, now).await?;
                Ok(true)
            })
            .await
    }

    async fn members(
        &self,
        caller: &Caller,
        id: GroupId,
        filter: MemberFilter,
        page: PageQuery,
    ) -> Result<Page<Member>> {
        let conn = self.core.db.conn();
        GroupAccess::load(conn, caller, id).await?.require_reader()?;
        let select =
            self.filter_members(membership::Entity::find().filter(membership::COLUMN.group_id.eq(id)), &filter);
        let (rows, page) = Page::<MemberRow>::fetch(select, &ordering(), &page, conn).await?.split();
        let members = self.show_members(rows).await?;
        Ok(page.with_results(|_| members))
    }

    async fn remove_member(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<()> {
        if user == caller.user {
            return self.leave(caller, id).await.map(|_| ());
        }
        let now = self.core.now();
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let access = GroupAccess::load_for_update(conn, caller, id).await?.require_moderator()?;
                let role = role_of(conn, id, user).await?.ok_or(Error::NotFound("member"))?;
                access.may_remove(role)?;
                tx.emit(&MemberRemoved { group: id, user, actor: caller.user }).await?;
                delete_membership(conn, id, user, now).await?;
                revoke_from(conn, id, user).await?;
                let (group, actor, subject) = (Some(id), caller.user, Some(user));
                let (action, target) = ("removed", format!("member {user}"));
                let entry = ModerationEntry { group, actor, action, subject, target, detail: "" };
                Ok(self.core.log_moderation(conn, entry).await?)
            })
            .await
    }

    async fn add_moderator(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<Group> {
        self.set_role(caller, id, user, Role::Moderator).await?;
        self.find_group(caller.into(), id).await
    }

    async fn remove_moderator(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<()> {
        self.set_role(caller, id, user, Role::Member).await
    }

    async fn transfer(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<Group> {
        self.core
            .write(|tx| async move {
                let conn = &tx;
                GroupAccess::load_for_update(conn, caller, id).await?.require_owner()?;
                match role_of(conn, id, user).await? {
                    None => return Err(Error::NotInGroup),
                    Some(Role::Owner) => return Ok(()),
                    Some(_) => {}
                }
                let owner = Condition::all()
                    .add(membership::COLUMN.group_id.eq(id))
                    .add(membership::COLUMN.role.eq(Role::Owner));
                membership::Entity::update_many()
                    .col_expr(membership::Column::Role, Expr::value(Role::Moderator))
                    .filter(owner)
                    .exec(&tx.deferred())
                    .await?;
                change_role(conn, id, user, Role::Owner).await?;
                tx.emit(&RoleChanged { group: id, user, role: Role::Owner, actor: caller.user }).await?;
                let (group, actor, subject) = (Some(id), caller.user, Some(user));
                let (action, target) = ("handed_over", format!("member {user}"));
                let entry = ModerationEntry { group, actor, action, subject, target, detail: "" };
                Ok(self.core.log_moderation(conn, entry).await?)
            })
            .await?;
        self.find_group(caller.into(), id).await
    }

    async fn memberships(
        &self,
        caller: &Caller,
        filter: MembershipFilter,
        page: PageQuery,
    ) -> Result<Page<Membership>> {
        let mut select = membership::Entity::find();
        if !caller.roles.is_staff() {
            let readable = membership::Column::GroupId.in_subquery(joined_by(caller.user));
            select = select.filter(readable);
        }
        if let Some(group) = filter.group {
            select = select.filter(membership::COLUMN.group_id.eq(group));
        }
        match filter.user {
            Some(user) => select = select.filter(membership::COLUMN.user_id.eq(user)),
            None if filter.group.is_none() => select = select.filter(membership::COLUMN.user_id.eq(caller.user)),
            None => {}
        }
        let (rows, page) = Page::<MemberRow>::fetch(select, &ordering(), &page, self.core.db.conn()).await?.split();
        let people = self.core.people(rows.iter().map(|row| row.user_id)).await?;
        let show = |row: MemberRow| Membership {
            id: row.id,
            group: row.group_id,
            user: people.get(&row.user_id).cloned(),
            role: row.role,
            joined_at: row.joined_at,
        };
        Ok(page.with_results(|_| rows.into_iter().map(show).collect()))
    }
}
