//! What a caller may do with a post.

use guildhall_kernel::{
    Caller, UserId,
    db::{self, QueryTemplate},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, LockType, SelectStatement},
};

use crate::{
    core::{
        access::role_in,
        membership::role_of,
        scope::{Viewer, ViewerKind, visible_posts},
    },
    entity::{group, membership::Role, post},
    error::{Error, Result},
    id::{GroupId, PostId},
};

/// What the caller may do with a post.
pub(super) struct Rights {
    pub(super) is_author: bool,
    pub(super) is_moderator: bool,
}

static GROUP: QueryTemplate<()> = QueryTemplate::new(|(), ids| {
    let [id] = *ids else { return SelectStatement::new() };
    group::Entity::find_by_id(GroupId(id)).into_query()
});

/// The group of a post, if it has one.
pub(super) async fn group_of(conn: &impl ConnectionTrait, post: &post::Model) -> Result<Option<group::Model>> {
    match post.group_id {
        Some(group) => Ok(GROUP.row(conn, &(), &[group.0]).await?),
        None => Ok(None),
    }
}

/// Locks the group of a post, if it has one.
pub(crate) async fn lock_group_of(conn: &impl ConnectionTrait, id: PostId) -> Result<()> {
    let of_post = post::Entity::find_by_id(id).select_only().column(post::Column::GroupId).into_query();
    let group = group::Entity::find().filter(Expr::col((group::Entity, group::Column::Id)).eq(Expr::from(of_post)));
    Ok(db::lock_rows(conn, || group, LockType::NoKeyUpdate).await?)
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

/// A post with the caller's role in its group.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct PostAccess {
    #[sea_orm(nested)]
    pub(super) post: post::Model,
    pub(super) own_role: Option<Role>,
    #[sea_orm(skip)]
    is_staff: bool,
}

static READABLE_POST: QueryTemplate<ViewerKind> = QueryTemplate::new(|kind, ids| {
    let [user, id] = *ids else { return SelectStatement::new() };
    let user = UserId(user);
    let group_id = Expr::col((post::Entity, post::Column::GroupId));
    visible_posts(kind.viewer(user))
        .filter(post::COLUMN.id.eq(PostId(id)))
        .expr_as(role_in(group_id, user), "own_role")
        .into_query()
});

impl PostAccess {
    /// Loads a post without a lock. 404 if the caller may not read it.
    pub(super) async fn load(conn: &impl ConnectionTrait, caller: &Caller, id: PostId) -> Result<Self> {
        let kind = Viewer::from(caller).kind();
        let access = READABLE_POST.row::<Self>(conn, &kind, &[caller.user.0, id.0]).await?;
        Ok(Self { is_staff: caller.roles.is_staff(), ..access.ok_or(Error::PostNotFound(id))? })
    }

    /// Requires that the caller may react to the post: in a group, only members may.
    pub(super) fn require_member(self) -> Result<Self> {
        if self.post.group_id.is_none() || self.own_role.is_some() { Ok(self) } else { Err(Error::NotMember) }
    }

    /// What the caller may do with the post.
    pub(super) fn rights(&self, caller: &Caller) -> Rights {
        let has_left = self.post.group_id.is_some() && self.own_role.is_none();
        Rights {
            // Authors who have left the group can no longer edit their posts in it.
            is_author: self.post.author_id == Some(caller.user) && !has_left,
            is_moderator: self.is_moderator(),
        }
    }

    /// Whether the caller moderates the group of the post.
    pub(super) fn is_moderator(&self) -> bool {
        self.is_staff || self.own_role.is_some_and(|role| role != Role::Member)
    }
}

/// Locks a post until the transaction ends, whether the caller may read it or not.
pub(super) async fn lock_row(conn: &impl ConnectionTrait, id: PostId) -> Result<()> {
    Ok(db::lock_rows(conn, || post::Entity::find_by_id(id), LockType::Update).await?)
}

/// Locks a post that the caller may read. Returns what they may do with it. The group is always locked before the
/// post, to avoid deadlocks.
pub(super) async fn lock_post(
    conn: &impl ConnectionTrait,
    caller: &Caller,
    id: PostId,
) -> Result<(post::Model, Rights)> {
    lock_group_of(conn, id).await?;
    lock_row(conn, id).await?;
    let access = PostAccess::load(conn, caller, id).await?;
    let rights = access.rights(caller);
    Ok((access.post, rights))
}

/// Whether the caller moderates the group of the post.
pub(super) async fn is_moderator(conn: &impl ConnectionTrait, caller: &Caller, post: &post::Model) -> Result<bool> {
    if caller.roles.is_staff() {
        return Ok(true);
    }
    let Some(group) = post.group_id else { return Ok(false) };
    Ok(role_of(conn, group, caller.user).await?.is_some_and(|role| role != Role::Member))
}
