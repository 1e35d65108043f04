//! Steps of operations that change who is a member of a group.

use guildhall_kernel::{
    Timestamp, UserId,
    db::{self, QueryTemplate, Tx},
};
use sea_orm::{
    ActiveValue::NotSet,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Set,
    sea_query::{Expr, ExprTrait, SelectStatement},
};

use super::{invites::revoke_personal, rsvps::delete_hidden_rsvps};
use crate::{
    entity::{
        ban, group,
        join_request::{self, RequestStatus},
        membership::{self, Role},
    },
    error::{Error, Result},
    event::MemberJoined,
    id::GroupId,
};

static ROLE: QueryTemplate<()> = QueryTemplate::new(|(), ids| {
    let [group, user] = *ids else { return SelectStatement::new() };
    let memberships = membership::Entity::find().filter(membership_of(GroupId(group), UserId(user)));
    memberships.select_only().column(membership::Column::Role).into_query()
});

static OWNER: QueryTemplate<()> = QueryTemplate::new(|(), ids| {
    let [group] = *ids else { return SelectStatement::new() };
    membership::Entity::find()
        .select_only()
        .column(membership::Column::UserId)
        .filter(membership::COLUMN.group_id.eq(GroupId(group)))
        .filter(membership::COLUMN.role.eq(Role::Owner))
        .into_query()
});

static BAN: QueryTemplate<()> = QueryTemplate::new(|(), ids| {
    let [group, user] = *ids else { return SelectStatement::new() };
    ban::Entity::find()
        .filter(ban::COLUMN.group_id.eq(GroupId(group)))
        .filter(ban::COLUMN.user_id.eq(UserId(user)))
        .into_query()
});

pub(crate) fn membership_of(group: GroupId, user: UserId) -> Condition {
    Condition::all().add(membership::COLUMN.group_id.eq(group)).add(membership::COLUMN.user_id.eq(user))
}

/// A user's role in a group, if they are a member.
pub(crate) async fn role_of(conn: &impl ConnectionTrait, group: GroupId, user: UserId) -> Result<Option<Role>> {
    let membership = ROLE.raw_row(conn, &(), &[group.0, user.0]).await?;
    Ok(membership.map(|row| row.try_get("", "role")).transpose()?)
}

/// Whether a user is banned from a group at this time.
pub(crate) async fn is_banned(
    conn: &impl ConnectionTrait,
    group: GroupId,
    user: UserId,
    now: Timestamp,
) -> Result<bool> {
    let ban = BAN.row::<ban::Model>(conn, &(), &[group.0, user.0]).await?;
    Ok(ban.is_some_and(|ban| ban.until.is_none_or(|until| until > now)))
}

/// The role of the next member: a group without an owner gets them as its owner.
pub(crate) async fn role_of_next_member(conn: &impl ConnectionTrait, group: GroupId) -> Result<Role> {
    let owner = OWNER.raw_row(conn, &(), &[group.0]).await?;
    Ok(if owner.is_some() { Role::Member } else { Role::Owner })
}

/// Adds a member to a group that is not full, and closes their request to join. The group has to be locked, and the
/// role is that of the [next member](role_of_next_member).
pub(crate) async fn add_member(
    tx: &Tx,
    group: &group::Model,
    user: UserId,
    role: Role,
    decided_by: Option<UserId>,
    now: Timestamp,
) -> Result<()> {
    if group.max_members.is_some_and(|max_members| group.member_count >= max_members) {
        return Err(Error::GroupFull);
    }
    add_to_member_count(tx, group.id, 1).await?;
    let row = membership::ActiveModel {
        id: NotSet,
        group_id: Set(group.id),
        user_id: Set(user),
        role: Set(role),
        joined_at: Set(now),
    };
    db::insert_only(&tx.deferred(), row).await?;
    // An unused invite would let them join again after they were removed.
    revoke_personal(tx, group.id, user).await?;
    close_request(&tx.deferred(), group.id, user, RequestStatus::Approved, decided_by, now).await?;
    Ok(tx.emit(&MemberJoined { group: group.id, user, approved_by: decided_by }).await?)
}

async fn add_to_member_count(tx: &Tx, group: GroupId, delta: i64) -> Result<()> {
    group::Entity::update_many()
        .col_expr(group::Column::MemberCount, Expr::col(group::Column::MemberCount).add(delta))
        .filter(group::COLUMN.id.eq(group))
        .exec(&tx.deferred())
        .await?;
    Ok(())
}

/// Closes a user's pending request to join. Returns `false` if there was none.
pub(crate) async fn close_request(
    conn: &impl ConnectionTrait,
    group: GroupId,
    user: UserId,
    status: RequestStatus,
    decided_by: Option<UserId>,
    now: Timestamp,
) -> Result<bool> {
    let closed = join_request::Entity::update_many()
        .col_expr(join_request::Column::Status, Expr::value(status))
        .col_expr(join_request::Column::DecidedBy, Expr::value(decided_by))
        .col_expr(join_request::Column::DecidedAt, Expr::value(now))
        .filter(join_request::COLUMN.group_id.eq(group))
        .filter(join_request::COLUMN.user_id.eq(user))
        .filter(Expr::cust("status = 'pending'"))
        .exec(conn)
        .await?;
    Ok(closed.rows_affected > 0)
}

/// Deletes a membership, and the RSVPs to events that are for members only. The group has to be locked, and the user
/// has to be a member.
pub(crate) async fn delete_membership(tx: &Tx, group: GroupId, user: UserId, now: Timestamp) -> Result<()> {
    membership::Entity::delete_many().filter(membership_of(group, user)).exec(&tx.deferred()).await?;
    add_to_member_count(tx, group, -1).await?;
    delete_hidden_rsvps(tx, group, user, now).await
}
