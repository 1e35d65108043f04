//! Steps of operations that change who is a member of a group.

use guildhall_kernel::{Timestamp, UserId, db::Tx};
use sea_orm::{
    ActiveValue::NotSet,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Set,
    sea_query::{Expr, ExprTrait},
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

pub(crate) fn membership_of(group: GroupId, user: UserId) -> Condition {
    Condition::all().add(membership::COLUMN.group_id.eq(group)).add(membership::COLUMN.user_id.eq(user))
}

/// A user's role in a group, if they are a member.
pub(crate) async fn role_of(conn: &impl ConnectionTrait, group: GroupId, user: UserId) -> Result<Option<Role>> {
    let role =
        membership::Entity::find().select_only().column(membership::Column::Role).filter(membership_of(group, user));
    Ok(role.into_tuple().one(conn).await?)
}

/// Whether a user is banned from a group at this time.
pub(crate) async fn is_banned(
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

/// Adds a member to a group that is not full, and closes their request to join. The conditional update of the counter
/// enforces the limit.
pub(crate) async fn add_member(
    tx: &Tx,
    group: GroupId,
    user: UserId,
    decided_by: Option<UserId>,
    now: Timestamp,
) -> Result<()> {
    let has_room = Condition::any()
        .add(group::COLUMN.max_members.is_null())
        .add(Expr::col(group::Column::MemberCount).lt(Expr::col(group::Column::MaxMembers)));
    let updated = group::Entity::update_many()
        .col_expr(group::Column::MemberCount, Expr::col(group::Column::MemberCount).add(1))
        .filter(group::COLUMN.id.eq(group))
        .filter(has_room)
        .exec(tx)
        .await?;
    if updated.rows_affected == 0 {
        return Err(Error::GroupFull);
    }
    // A group without an owner gets the next member as its owner.
    let is_owned = membership::Entity::find()
        .filter(membership::COLUMN.group_id.eq(group))
        .filter(membership::COLUMN.role.eq(Role::Owner));
    let role = if is_owned.one(tx).await?.is_some() { Role::Member } else { Role::Owner };
    let row = membership::ActiveModel {
        id: NotSet,
        group_id: Set(group),
        user_id: Set(user),
        role: Set(role),
        joined_at: Set(now),
    };
    membership::Entity::insert(row).exec_without_returning(tx).await?;
    tx.emit(&MemberJoined { group, user, approved_by: decided_by }).await?;
    // An unused invite would let them join again after they were removed.
    revoke_personal(tx, group, user).await?;
    close_request(tx, group, user, RequestStatus::Approved, decided_by, now).await.map(|_| ())
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

/// Deletes a membership and the RSVPs to events that are for members only. Returns `false` if there was none.
pub(crate) async fn delete_membership(
    conn: &impl ConnectionTrait,
    group: GroupId,
    user: UserId,
    now: Timestamp,
) -> Result<bool> {
    let deleted = membership::Entity::delete_many().filter(membership_of(group, user)).exec(conn).await?.rows_affected;
    if deleted > 0 {
        group::Entity::update_many()
            .col_expr(group::Column::MemberCount, Expr::col(group::Column::MemberCount).sub(1))
            .filter(group::COLUMN.id.eq(group))
            .exec(conn)
            .await?;
        delete_hidden_rsvps(conn, group, user, now).await?;
    }
    Ok(deleted > 0)
}
