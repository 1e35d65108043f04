//! The services on a database.

mod comments;
mod counters;
mod courses;
mod drafts;
mod events;
mod feed;
mod groups;
mod invites;
mod lessons;
mod links;
mod members;
mod moderation;
mod pictures;
mod posts;
mod reactions;
mod removal;
mod reports;
mod requests;
mod rsvps;
mod scope;
mod search;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use guildhall_kernel::{Caller, Clock, Db, Directory, Outbox, Person, PublicUrl, UserId, file::Files, web::Web};
use sea_orm::{
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Select,
    Set,
    sea_query::{Expr, ExprTrait, LockType, Query},
};
use tokio::sync::Notify;

use crate::{
    Error, GroupId, Result, Settings,
    entity::{
        group,
        membership::{self, Role},
        moderation as moderation_log,
    },
};
use scope::Viewer;

pub use removal::Removal;

/// The user table of the host, for searches by name among members.
#[derive(Clone, Copy, Debug)]
pub struct UserTable {
    /// Its name.
    pub name: &'static str,
    /// Its column that holds names as they are searched: folded as
    /// [`text::fold`](guildhall_kernel::text::fold) does, with an index.
    pub search_key: &'static str,
}

/// What the services stand in.
#[derive(Clone)]
pub struct Host {
    /// Where they read the time.
    pub clock: Clock,
    /// Who people are.
    pub directory: Arc<dyn Directory>,
    /// Where people are found by name.
    pub users: UserTable,
    /// Where letters are left.
    pub outbox: Outbox,
    /// Where files are kept.
    pub files: Files,
    /// Reads pages that posts point at; without it links have no previews.
    pub web: Option<Arc<dyn Web>>,
    /// What people know the service as.
    pub name: String,
    /// The address that the router is nested at.
    pub mount: PublicUrl,
    /// What the links in letters begin with.
    pub home: PublicUrl,
}

/// The community on a database: implements [`Groups`](crate::Groups), [`Posts`](crate::Posts),
/// [`Courses`](crate::Courses) and [`Events`](crate::Events).
#[derive(Clone)]
pub struct SqlCommunity {
    db: Db,
    settings: Settings,
    host: Host,
    /// Something with links was posted here.
    wake_previews: Arc<Notify>,
}

impl SqlCommunity {
    /// The services on a database with its tables.
    pub fn new(db: Db, settings: Settings, host: Host) -> Self {
        Self { db, settings, host, wake_previews: Arc::default() }
    }

    /// The same services, reached at other addresses: the router, the links in letters, and the files.
    #[must_use]
    pub fn mounted_at(&self, mount: PublicUrl, home: PublicUrl, files: Files) -> Self {
        let host = Host { files, mount, home, ..self.host.clone() };
        Self { host, ..self.clone() }
    }

    /// Where files are kept.
    pub(crate) fn files(&self) -> &Files {
        &self.host.files
    }

    /// Who reads; nobody may without signing in, unless the settings say so.
    fn viewer(&self, caller: Option<Caller>) -> Result<Viewer> {
        match caller {
            Some(caller) => Ok(Viewer::from(&caller)),
            None if self.settings.public_read => Ok(Viewer::Nobody),
            None => Err(Error::NotAuthenticated),
        }
    }

    /// Who looks into a group: 404 where they may not know of it, 403 where they see only its card.
    async fn look_into(&self, caller: Option<Caller>, id: GroupId) -> Result<Viewer> {
        let viewer = self.viewer(caller)?;
        if let Some(caller) = &caller {
            let seat = Seat::look(self.db.conn(), caller, id).await?;
            if seat.group.is_private {
                seat.inside()?;
            }
        } else {
            let found = scope::known_groups(viewer).filter(group::COLUMN.id.eq(id)).one(self.db.conn()).await?;
            found.ok_or(Error::GroupNotFound(id))?;
        }
        Ok(viewer)
    }

    /// These people by their ids, in one query of the directory's.
    async fn people(&self, ids: impl IntoIterator<Item = UserId>) -> Result<HashMap<UserId, Person>> {
        let ids: Vec<UserId> = ids.into_iter().collect::<HashSet<_>>().into_iter().collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let people = self.host.directory.people(&ids).await?;
        Ok(people.into_iter().map(|person| (person.id, person)).collect())
    }
}

/// A group, and what somebody is in it.
#[derive(Clone, Debug, FromQueryResult)]
struct Seat {
    #[sea_orm(nested)]
    group: group::Model,
    own_role: Option<Role>,
    #[sea_orm(skip)]
    is_staff: bool,
}

impl Seat {
    /// The caller's seat in a group, for an act on it; 404 where they may not know of it. Locked until the
    /// transaction ends, so that of two acts on one group the second sees what the first has done.
    async fn take(conn: &impl ConnectionTrait, caller: &Caller, id: GroupId) -> Result<Self> {
        lock_group(conn, id).await?;
        Self::look(conn, caller, id).await
    }

    /// The same of a group that they may not know of.
    async fn take_unseen(conn: &impl ConnectionTrait, caller: &Caller, id: GroupId) -> Result<Self> {
        lock_group(conn, id).await?;
        Self::find(group::Entity::find_by_id(id), conn, caller, id).await
    }

    /// The same for reading, without a lock.
    async fn look(conn: &impl ConnectionTrait, caller: &Caller, id: GroupId) -> Result<Self> {
        let found = scope::known_groups(caller.into()).filter(group::COLUMN.id.eq(id));
        Self::find(found, conn, caller, id).await
    }

    async fn find(
        found: Select<group::Entity>,
        conn: &impl ConnectionTrait,
        caller: &Caller,
        id: GroupId,
    ) -> Result<Self> {
        let seat = found.expr_as(own_role(caller.user), "own_role").into_model::<Self>().one(conn).await?;
        let seat = seat.ok_or(Error::GroupNotFound(id))?;
        Ok(Self { is_staff: caller.roles.is_staff(), ..seat })
    }

    /// May they read what only members read? 403 if not: they know of the group.
    fn inside(self) -> Result<Self> {
        if self.own_role.is_some() || self.is_staff { Ok(self) } else { Err(Error::NotMember) }
    }

    /// Are they in it, so that they may write?
    fn member(self) -> Result<Self> {
        if self.own_role.is_some() { Ok(self) } else { Err(Error::NotMember) }
    }

    fn is_moderator(&self) -> bool {
        self.is_staff || self.own_role.is_some_and(|role| role != Role::Member)
    }

    fn moderator(self) -> Result<Self> {
        match self.is_moderator() {
            true => Ok(self),
            false if self.own_role.is_some() => Err(Error::NotModerator),
            false => Err(Error::NotMember),
        }
    }

    fn is_owner(&self) -> bool {
        self.is_staff || self.own_role == Some(Role::Owner)
    }

    fn owner(self) -> Result<Self> {
        if self.is_owner() { Ok(self) } else { Err(Error::NotGroupOwner) }
    }
}

/// Locks a group until the transaction ends. In a statement of its own: one that waits for a lock sees the
/// locked row as it is then, but all else as it was before. Rows that point at the group can still be written.
async fn lock_group(conn: &impl ConnectionTrait, id: GroupId) -> Result<(), DbErr> {
    // On SQLite there is one writer, and nothing to wait for.
    if conn.get_database_backend() == DbBackend::Postgres {
        let row = group::Entity::find_by_id(id).select_only().column(group::Column::Id).lock(LockType::NoKeyUpdate);
        row.into_tuple::<GroupId>().one(conn).await?;
    }
    Ok(())
}

/// What somebody is in the group of the row; group by group, since whoever is in ten thousand of them
/// should not have them all read for a page of twenty.
fn own_role(user: UserId) -> Expr {
    let column = |column| Expr::col((membership::Entity, column));
    let own = Query::select()
        .column((membership::Entity, membership::Column::Role))
        .from(membership::Entity)
        .and_where(column(membership::Column::GroupId).equals((group::Entity, group::Column::Id)))
        .and_where(column(membership::Column::UserId).eq(user))
        .take();
    Expr::from(own)
}

/// An act to keep order in a group, on its way into the log.
struct Moderated<'a> {
    group: Option<GroupId>,
    actor: UserId,
    /// What was done: a word in the past tense.
    action: &'static str,
    /// Whom it was done to, or whose thing.
    subject: Option<UserId>,
    /// What it was done to: `post 5`.
    target: String,
    /// Why, or what it was.
    detail: &'a str,
}

impl SqlCommunity {
    /// Notes an act to keep order, in its transaction.
    async fn note(&self, conn: &impl ConnectionTrait, act: Moderated<'_>) -> Result<(), DbErr> {
        let row = moderation_log::ActiveModel {
            id: NotSet,
            group_id: Set(act.group),
            actor_id: Set(Some(act.actor)),
            action: Set(act.action.to_owned()),
            subject_id: Set(act.subject),
            target: Set(act.target),
            detail: Set(act.detail.to_owned()),
            at: Set(self.host.clock.now()),
        };
        moderation_log::Entity::insert(row).exec_without_returning(conn).await.map(|_| ())
    }
}
