//! What a caller may do in a group.

use guildhall_kernel::{
    Caller, UserId,
    db::{self, QueryTemplate},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait, Query, SelectStatement},
};

use super::{
    Core,
    scope::{Viewer, ViewerKind, visible_groups},
};
use crate::{
    entity::{
        group,
        membership::{self, Role},
    },
    error::{Error, Result},
    id::GroupId,
};

static PUBLIC_GROUP: QueryTemplate<()> = QueryTemplate::new(|(), ids| {
    let [id] = *ids else { return SelectStatement::new() };
    visible_groups(Viewer::Anonymous).filter(group::COLUMN.id.eq(GroupId(id))).into_query()
});

static VISIBLE_GROUP: QueryTemplate<ViewerKind> = QueryTemplate::new(|kind, ids| {
    let [user, id] = *ids else { return SelectStatement::new() };
    let user = UserId(user);
    with_own_role(visible_groups(kind.viewer(user)).filter(group::COLUMN.id.eq(GroupId(id))), user)
});

static ANY_GROUP: QueryTemplate<()> = QueryTemplate::new(|(), ids| {
    let [user, id] = *ids else { return SelectStatement::new() };
    with_own_role(group::Entity::find_by_id(GroupId(id)), UserId(user))
});

/// The columns of [`GroupAccess`].
fn with_own_role(groups: Select<group::Entity>, user: UserId) -> SelectStatement {
    groups.expr_as(own_role(user), "own_role").into_query()
}

impl Core {
    /// The viewer. Anonymous access is an error unless the settings allow it.
    pub(crate) fn viewer(&self, caller: Option<Caller>) -> Result<Viewer> {
        match caller {
            Some(caller) => Ok(Viewer::from(&caller)),
            None if self.settings.public_read => Ok(Viewer::Anonymous),
            None => Err(Error::NotAuthenticated),
        }
    }

    /// The viewer, if they may read the content of a group. 404 if it is not visible to them, 403 if only listed.
    pub(crate) async fn find_access(&self, caller: Option<Caller>, id: GroupId) -> Result<Viewer> {
        let viewer = self.viewer(caller)?;
        if let Some(caller) = &caller {
            let access = GroupAccess::load(self.db.conn(), caller, id).await?;
            if access.group.is_private {
                access.require_reader()?;
            }
        } else {
            let found = PUBLIC_GROUP.raw_row(self.db.conn(), &(), &[id.0]).await?;
            found.ok_or(Error::GroupNotFound(id))?;
        }
        Ok(viewer)
    }
}

/// A group with the caller's role in it.
#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct GroupAccess {
    #[sea_orm(nested)]
    pub(crate) group: group::Model,
    pub(crate) own_role: Option<Role>,
    #[sea_orm(skip)]
    pub(crate) is_staff: bool,
}

impl GroupAccess {
    /// Loads a group for a change and locks it until the transaction ends, so that concurrent changes of one group are
    /// serialized. 404 if it is not visible to the caller.
    pub(crate) async fn load_for_update(conn: &impl ConnectionTrait, caller: &Caller, id: GroupId) -> Result<Self> {
        db::lock::<group::Entity>(conn, id).await?;
        Self::load(conn, caller, id).await
    }

    /// Loads a group without a lock. 404 if it is not visible to the caller.
    pub(crate) async fn load(conn: &impl ConnectionTrait, caller: &Caller, id: GroupId) -> Result<Self> {
        let kind = Viewer::from(caller).kind();
        Self::new(VISIBLE_GROUP.row(conn, &kind, &[caller.user.0, id.0]).await?, caller, id)
    }

    /// Like [`load`](Self::load), but without the check that the group is visible.
    pub(crate) async fn load_unchecked(conn: &impl ConnectionTrait, caller: &Caller, id: GroupId) -> Result<Self> {
        Self::new(ANY_GROUP.row(conn, &(), &[caller.user.0, id.0]).await?, caller, id)
    }

    fn new(found: Option<Self>, caller: &Caller, id: GroupId) -> Result<Self> {
        let access = found.ok_or(Error::GroupNotFound(id))?;
        Ok(Self { is_staff: caller.roles.is_staff(), ..access })
    }

    /// Requires read access to the group's content. 403 otherwise, since the group itself is visible.
    pub(crate) fn require_reader(self) -> Result<Self> {
        if self.own_role.is_some() || self.is_staff { Ok(self) } else { Err(Error::NotMember) }
    }

    /// Requires membership, even of staff.
    pub(crate) fn require_member(self) -> Result<Self> {
        if self.own_role.is_some() { Ok(self) } else { Err(Error::NotMember) }
    }

    pub(crate) fn is_moderator(&self) -> bool {
        self.is_staff || self.own_role.is_some_and(|role| role != Role::Member)
    }

    pub(crate) fn require_moderator(self) -> Result<Self> {
        match self.is_moderator() {
            true => Ok(self),
            false if self.own_role.is_some() => Err(Error::NotModerator),
            false => Err(Error::NotMember),
        }
    }

    pub(crate) fn is_owner(&self) -> bool {
        self.is_staff || self.own_role == Some(Role::Owner)
    }

    pub(crate) fn require_owner(self) -> Result<Self> {
        if self.is_owner() { Ok(self) } else { Err(Error::NotGroupOwner) }
    }

    /// Checks that the caller may remove a member with this role.
    pub(crate) fn may_remove(&self, role: Role) -> Result<()> {
        match role {
            Role::Owner => Err(Error::OwnerStays),
            Role::Moderator if !self.is_owner() => Err(Error::NotAbovePeer),
            _ => Ok(()),
        }
    }
}

/// A user's role in the group of the row.
pub(crate) fn own_role(user: UserId) -> Expr {
    role_in(Expr::col((group::Entity, group::Column::Id)), user)
}

/// A user's role in the group in this column. A correlated subquery, so that for a user in ten thousand groups not all
/// memberships are read for a page of twenty.
pub(crate) fn role_in(group_column: Expr, user: UserId) -> Expr {
    let column = |column| Expr::col((membership::Entity, column));
    let own = Query::select()
        .column((membership::Entity, membership::Column::Role))
        .from(membership::Entity)
        .and_where(column(membership::Column::GroupId).eq(group_column))
        .and_where(column(membership::Column::UserId).eq(user))
        .take();
    Expr::from(own)
}
