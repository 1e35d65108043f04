//! Who is in a group, and what they may do there.

use guildhall_kernel::{Caller, Ordering, Page, PageQuery, Timestamp, UserId, text};
use sea_orm::{
    ActiveValue::NotSet,
    ColumnTrait, Condition, ConnectionTrait, DerivePartialModel, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Set,
    sea_query::{Alias, Expr, ExprTrait, Query},
};

use super::{
    Moderated, Seat, SqlCommunity,
    invites::{revoke_from, revoke_personal},
    rsvps::forget_rsvps_in,
    scope::joined_by,
};
use crate::{
    Error, GroupId, Joined, Member, MemberFilter, Membership, MembershipFilter, RequestStatus, Result,
    entity::{
        ban, group, join_request,
        membership::{self, Role},
    },
};

/// How many look after a group at most: their ids stand in every list of groups.
const MOST_MODERATORS: u64 = 100;

/// The columns of a [`Member`] and of a [`Membership`].
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "membership::Entity")]
pub(super) struct MemberRow {
    id: i64,
    group_id: GroupId,
    pub(super) user_id: UserId,
    role: Role,
    joined_at: Timestamp,
}

fn seat_of(group: GroupId, user: UserId) -> Condition {
    Condition::all().add(membership::COLUMN.group_id.eq(group)).add(membership::COLUMN.user_id.eq(user))
}

/// What somebody is in a group.
pub(super) async fn role_of(conn: &impl ConnectionTrait, group: GroupId, user: UserId) -> Result<Option<Role>> {
    let role = membership::Entity::find().select_only().column(membership::Column::Role).filter(seat_of(group, user));
    Ok(role.into_tuple().one(conn).await?)
}

/// Somebody is not to be in a group, now.
pub(super) async fn is_banned(
    conn: &impl ConnectionTrait,
    group: GroupId,
    user: UserId,
    now: Timestamp,
) -> Result<bool> {
    let ban = ban::Entity::find()
        .filter(ban::COLUMN.group_id.eq(group))
        .filter(ban::COLUMN.user_id.eq(user))
        .one(conn)
        .await?;
    Ok(ban.is_some_and(|ban| ban.until.is_none_or(|until| until > now)))
}

/// Takes somebody into a group that has room: the counter is the lock. What they had asked for is settled.
pub(super) async fn admit(
    conn: &impl ConnectionTrait,
    group: GroupId,
    user: UserId,
    by: Option<UserId>,
    now: Timestamp,
) -> Result<()> {
    let room = Condition::any()
        .add(group::COLUMN.max_members.is_null())
        .add(Expr::col(group::Column::MemberCount).lt(Expr::col(group::Column::MaxMembers)));
    let taken = group::Entity::update_many()
        .col_expr(group::Column::MemberCount, Expr::col(group::Column::MemberCount).add(1))
        .filter(group::COLUMN.id.eq(group))
        .filter(room)
        .exec(conn)
        .await?;
    if taken.rows_affected == 0 {
        return Err(Error::GroupFull);
    }
    // A group that everybody has left belongs to whoever comes next.
    let is_owned = membership::Entity::find()
        .filter(membership::COLUMN.group_id.eq(group))
        .filter(membership::COLUMN.role.eq(Role::Owner));
    let role = if is_owned.one(conn).await?.is_some() { Role::Member } else { Role::Owner };
    let row = membership::ActiveModel {
        id: NotSet,
        group_id: Set(group),
        user_id: Set(user),
        role: Set(role),
        joined_at: Set(now),
    };
    membership::Entity::insert(row).exec_without_returning(conn).await?;
    // What was left of an invite would let them back in once they are removed.
    revoke_personal(conn, group, user).await?;
    settle(conn, group, user, RequestStatus::Approved, by, now).await.map(|_| ())
}

/// Settles what somebody has asked for; tells whether they had.
pub(super) async fn settle(
    conn: &impl ConnectionTrait,
    group: GroupId,
    user: UserId,
    status: RequestStatus,
    by: Option<UserId>,
    now: Timestamp,
) -> Result<bool> {
    let settled = join_request::Entity::update_many()
        .col_expr(join_request::Column::Status, Expr::value(status))
        .col_expr(join_request::Column::DecidedBy, Expr::value(by))
        .col_expr(join_request::Column::DecidedAt, Expr::value(now))
        .filter(join_request::COLUMN.group_id.eq(group))
        .filter(join_request::COLUMN.user_id.eq(user))
        .filter(Expr::cust("status = 'pending'"))
        .exec(conn)
        .await?;
    Ok(settled.rows_affected > 0)
}

/// Takes somebody out of a group, and off the events that are its members' alone; tells whether they were in it.
pub(super) async fn dismiss(conn: &impl ConnectionTrait, group: GroupId, user: UserId, now: Timestamp) -> Result<bool> {
    let gone = membership::Entity::delete_many().filter(seat_of(group, user)).exec(conn).await?.rows_affected;
    if gone > 0 {
        group::Entity::update_many()
            .col_expr(group::Column::MemberCount, Expr::col(group::Column::MemberCount).sub(1))
            .filter(group::COLUMN.id.eq(group))
            .exec(conn)
            .await?;
        forget_rsvps_in(conn, group, user, now).await?;
    }
    Ok(gone > 0)
}

async fn change_role(conn: &impl ConnectionTrait, group: GroupId, user: UserId, role: Role) -> Result<()> {
    membership::Entity::update_many()
        .col_expr(membership::Column::Role, Expr::value(role))
        .filter(seat_of(group, user))
        .exec(conn)
        .await?;
    Ok(())
}

async fn moderators(conn: &impl ConnectionTrait, group: GroupId) -> Result<u64> {
    let all = membership::Entity::find()
        .filter(membership::COLUMN.group_id.eq(group))
        .filter(Expr::cust("community_membership.role <> 'member'"));
    Ok(all.count(conn).await?)
}

/// The moderator who has been in a group for longest.
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

impl SqlCommunity {
    pub(super) async fn join_group(
        &self,
        caller: &Caller,
        id: GroupId,
        token: Option<String>,
        note: String,
    ) -> Result<Joined> {
        if let Some(token) = token {
            let before = role_of(self.db.conn(), id, caller.user).await?;
            self.use_token(caller, Some(id), &token).await?;
            return Ok(Joined::Member { new: before.is_none() });
        }
        text::line(0, 500)(note.as_str(), &()).map_err(|error| Error::field("note", error.message()))?;
        let (now, note) = (self.host.clock.now(), &note);
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let seat = Seat::take_unseen(conn, caller, id).await?;
                if seat.own_role.is_some() {
                    return Ok(Joined::Member { new: false });
                }
                let open = !seat.group.is_private || seat.is_staff;
                let invited = !open && self.spend_personal(conn, id, caller.user, now).await?;
                if !open && !invited && !seat.group.is_listed {
                    return Err(Error::GroupNotFound(id));
                }
                if is_banned(conn, id, caller.user, now).await? {
                    return Err(Error::Banned);
                }
                if open || invited {
                    admit(conn, id, caller.user, None, now).await?;
                    return Ok(Joined::Member { new: true });
                }
                self.ask(conn, id, caller.user, note, now).await.map(|request_id| Joined::Requested { request_id })
            })
            .await
    }

    pub(super) async fn leave_group(&self, caller: &Caller, id: GroupId) -> Result<bool> {
        let now = self.host.clock.now();
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let seat = Seat::take_unseen(conn, caller, id).await?;
                let Some(role) = seat.own_role else {
                    // A group may have been hidden since they asked.
                    let asked = settle(conn, id, caller.user, RequestStatus::Withdrawn, None, now).await?;
                    let known = asked || !seat.group.is_private || seat.group.is_listed || seat.is_staff;
                    return if known { Ok(asked) } else { Err(Error::GroupNotFound(id)) };
                };
                if role != Role::Member && seat.group.member_count > 1 {
                    let next = if role == Role::Owner { oldest_moderator(conn, id).await? } else { None };
                    match next {
                        Some(next) => {
                            // First the place, then the heir: a group has at most one owner.
                            dismiss(conn, id, caller.user, now).await?;
                            change_role(conn, id, next, Role::Owner).await?;
                            return Ok(true);
                        }
                        None if role == Role::Owner || !self.has_other_moderator(conn, id, caller.user).await? => {
                            return Err(Error::LastModerator);
                        }
                        None => {}
                    }
                }
                dismiss(conn, id, caller.user, now).await
            })
            .await
    }

    async fn has_other_moderator(&self, conn: &impl ConnectionTrait, id: GroupId, except: UserId) -> Result<bool> {
        let other = membership::Entity::find()
            .filter(membership::COLUMN.group_id.eq(id))
            .filter(membership::COLUMN.user_id.ne(except))
            .filter(Expr::cust("community_membership.role <> 'member'"));
        Ok(other.one(conn).await?.is_some())
    }

    pub(super) async fn expel(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<()> {
        if user == caller.user {
            return self.leave_group(caller, id).await.map(|_| ());
        }
        let now = self.host.clock.now();
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let seat = Seat::take(conn, caller, id).await?.moderator()?;
                let role = role_of(conn, id, user).await?.ok_or(Error::NotFound("member"))?;
                may_remove(&seat, role)?;
                dismiss(conn, id, user, now).await?;
                revoke_from(conn, id, user).await?;
                let (group, actor, subject) = (Some(id), caller.user, Some(user));
                let act = Moderated {
                    group,
                    actor,
                    action: "removed",
                    subject,
                    target: format!("member {user}"),
                    detail: "",
                };
                Ok(self.note(conn, act).await?)
            })
            .await
    }

    /// Makes somebody a moderator, or a member again.
    pub(super) async fn set_role(&self, caller: &Caller, id: GroupId, user: UserId, role: Role) -> Result<()> {
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                Seat::take(conn, caller, id).await?.moderator()?;
                let before = role_of(conn, id, user).await?;
                match (before, role) {
                    (None | Some(Role::Member), Role::Member) => return Err(Error::NotFound("moderator")),
                    (None, _) => return Err(Error::NotInGroup),
                    (Some(Role::Owner), Role::Member) => return Err(Error::OwnerStays),
                    // Whoever owns a group looks after it already.
                    (Some(Role::Owner | Role::Moderator), Role::Moderator) => return Ok(()),
                    _ => {}
                }
                if role == Role::Moderator && moderators(conn, id).await? >= MOST_MODERATORS {
                    let message = format!("A group has at most {MOST_MODERATORS} moderators.");
                    return Err(Error::field("user_id", message));
                }
                change_role(conn, id, user, role).await?;
                let action = if role == Role::Moderator { "made_moderator" } else { "unmade_moderator" };
                let (group, actor, subject) = (Some(id), caller.user, Some(user));
                let act = Moderated { group, actor, action, subject, target: format!("member {user}"), detail: "" };
                Ok(self.note(conn, act).await?)
            })
            .await
    }

    pub(super) async fn hand_over(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<()> {
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                Seat::take(conn, caller, id).await?.owner()?;
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
                    .exec(conn)
                    .await?;
                change_role(conn, id, user, Role::Owner).await?;
                let (group, actor, subject) = (Some(id), caller.user, Some(user));
                let target = format!("member {user}");
                Ok(self
                    .note(conn, Moderated { group, actor, action: "handed_over", subject, target, detail: "" })
                    .await?)
            })
            .await
    }

    pub(super) async fn members_of(
        &self,
        caller: &Caller,
        id: GroupId,
        filter: MemberFilter,
        page: PageQuery,
    ) -> Result<Page<Member>> {
        let conn = self.db.conn();
        Seat::look(conn, caller, id).await?.inside()?;
        let select = self.narrowed(membership::Entity::find().filter(membership::COLUMN.group_id.eq(id)), &filter);
        let page = Page::<MemberRow>::fetch(select, &longest_first(), &page, conn).await?;
        let (rows, page) = page.take();
        let members = self.show_members(rows).await?;
        Ok(page.with(|_| members))
    }

    /// Only those of a list whose name and role fit.
    pub(super) fn narrowed(
        &self,
        members: Select<membership::Entity>,
        filter: &MemberFilter,
    ) -> Select<membership::Entity> {
        let mut members = members;
        if let Some(role) = filter.role {
            members = members.filter(membership::COLUMN.role.eq(role));
        }
        if let Some(search) = filter.search.as_ref().filter(|search| !search.trim().is_empty()) {
            let prefix = text::fold(search.trim());
            let end = text::after_prefix(&prefix);
            let table = self.host.users;
            let key = Expr::col((Alias::new(table.name), Alias::new(table.search_key)));
            let named = Query::select()
                .column((Alias::new(table.name), Alias::new("id")))
                .from(Alias::new(table.name))
                .and_where(key.between(prefix, end))
                .take();
            members = members.filter(membership::Column::UserId.in_subquery(named));
        }
        members
    }

    pub(super) async fn show_members(&self, rows: Vec<MemberRow>) -> Result<Vec<Member>> {
        let people = self.people(rows.iter().map(|row| row.user_id)).await?;
        let show = |row: MemberRow| Member {
            user: people.get(&row.user_id).cloned(),
            role: row.role,
            joined_at: row.joined_at,
        };
        Ok(rows.into_iter().map(show).collect())
    }

    pub(super) async fn list_memberships(
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
        let ordering = Ordering { fields: &[("id", membership::Column::Id)], usual: "id", id: membership::Column::Id };
        let page = Page::<MemberRow>::fetch(select, &ordering, &page, self.db.conn()).await?;
        let (rows, page) = page.take();
        let people = self.people(rows.iter().map(|row| row.user_id)).await?;
        let show = |row: MemberRow| Membership {
            id: row.id,
            group: row.group_id,
            user: people.get(&row.user_id).cloned(),
            role: row.role,
            joined_at: row.joined_at,
        };
        Ok(page.with(|_| rows.into_iter().map(show).collect()))
    }
}

/// May whoever has this seat remove somebody with this role?
pub(super) fn may_remove(seat: &Seat, role: Role) -> Result<()> {
    match role {
        Role::Owner => Err(Error::OwnerStays),
        Role::Moderator if !seat.is_owner() => Err(Error::NotAbovePeer),
        _ => Ok(()),
    }
}

pub(super) fn longest_first() -> Ordering<'static, membership::Column> {
    const FIELDS: &[(&str, membership::Column)] = &[("id", membership::Column::Id)];
    Ordering { fields: FIELDS, usual: "id", id: membership::Column::Id }
}
