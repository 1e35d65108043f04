//! What a caller may do with a post.

use guildhall_kernel::{Caller, db};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, LockType},
};

use crate::{
    core::{membership::role_of, scope::visible_posts},
    entity::{group, membership::Role, post},
    error::{Error, Result},
    id::PostId,
};

/// What the caller may do with a post.
pub(super) struct Rights {
    pub(super) is_author: bool,
    pub(super) is_moderator: bool,
}

/// The group of a post, if it has one.
pub(super) async fn group_of(conn: &impl ConnectionTrait, post: &post::Model) -> Result<Option<group::Model>> {
    match post.group_id {
        Some(group) => Ok(group::Entity::find_by_id(group).one(conn).await?),
        None => Ok(None),
    }
}

/// Locks the group of a post, if it has one.
pub(crate) async fn lock_group_of(conn: &impl ConnectionTrait, id: PostId) -> Result<()> {
    let of_post = post::Entity::find_by_id(id).select_only().column(post::Column::GroupId).into_query();
    let group = group::Entity::find().filter(Expr::col((group::Entity, group::Column::Id)).eq(Expr::from(of_post)));
    Ok(db::lock_rows(conn, group, LockType::NoKeyUpdate).await?)
}

/// Locks a post that the caller may read.
pub(crate) async fn lock_readable_post(
    conn: &impl ConnectionTrait,
    caller: &Caller,
    id: PostId,
) -> Result<post::Model> {
    let post = visible_posts(caller.into()).filter(post::COLUMN.id.eq(id)).lock_exclusive().one(conn).await?;
    post.ok_or(Error::PostNotFound(id))
}

/// Locks a post that the caller may read. Returns what they may do with it. The group is always locked before the
/// post, to avoid deadlocks.
pub(super) async fn lock_post(
    conn: &impl ConnectionTrait,
    caller: &Caller,
    id: PostId,
) -> Result<(post::Model, Rights)> {
    lock_group_of(conn, id).await?;
    let post = lock_readable_post(conn, caller, id).await?;
    let role = match post.group_id {
        Some(group) => role_of(conn, group, caller.user).await?,
        None => None,
    };
    let has_left = post.group_id.is_some() && role.is_none();
    let rights = Rights {
        // Authors who have left the group can no longer edit their posts in it.
        is_author: post.author_id == Some(caller.user) && !has_left,
        is_moderator: caller.roles.is_staff() || role.is_some_and(|role| role != Role::Member),
    };
    Ok((post, rights))
}

/// Locks a post that the caller may read and react to: in a group, only members may.
pub(super) async fn lock_post_for_member(
    conn: &impl ConnectionTrait,
    caller: &Caller,
    id: PostId,
) -> Result<post::Model> {
    let post = lock_readable_post(conn, caller, id).await?;
    if let Some(group) = post.group_id
        && role_of(conn, group, caller.user).await?.is_none()
    {
        return Err(Error::NotMember);
    }
    Ok(post)
}

/// Whether the caller moderates the group of the post.
pub(super) async fn is_moderator(conn: &impl ConnectionTrait, caller: &Caller, post: &post::Model) -> Result<bool> {
    if caller.roles.is_staff() {
        return Ok(true);
    }
    let Some(group) = post.group_id else { return Ok(false) };
    Ok(role_of(conn, group, caller.user).await?.is_some_and(|role| role != Role::Member))
}
