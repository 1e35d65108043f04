//! The services on a database.

mod attachments;
mod bookmarks;
mod comments;
mod counters;
mod courses;
mod drafts;
mod enrolments;
mod events;
mod feed;
mod follows;
mod groups;
mod invites;
mod lessons;
mod links;
mod members;
mod moderation;
mod pictures;
mod polls;
mod posts;
mod reactions;
mod removal;
mod reports;
mod requests;
mod reviews;
mod rsvps;
mod scope;
mod search;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use guildhall_files::Files;
use guildhall_kernel::{Caller, Clock, Db, Directory, Outbox, Person, PublicUrl, UserId, http::PageFetcher};
use scope::Viewer;
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

pub use removal::Removal;

/// The user table of the host, for searching members by name.
#[derive(Clone, Copy, Debug)]
pub struct UserTable {
    /// The name of the table.
    pub name: &'static str,
    /// The indexed column with search keys of names, folded like
    /// [`text::fold`](guildhall_kernel::text::fold).
    pub search_key: &'static str,
}

/// The environment that the host provides.
#[derive(Clone)]
pub struct Host {
    /// The source of the current time.
    pub clock: Clock,
    /// Looks up users by id.
    pub directory: Arc<dyn Directory>,
    /// The user table, for searching by name.
    pub users: UserTable,
    /// Sends email.
    pub outbox: Outbox,
    /// The file store.
    pub files: Files,
    /// Fetches linked pages for previews; without it, links have no previews.
    pub page_fetcher: Option<Arc<dyn PageFetcher>>,
    /// The name of the service, as shown in emails.
    pub name: String,
    /// The URL that the router is nested at.
    pub mount: PublicUrl,
    /// The base URL of links in emails.
    pub home: PublicUrl,
}

/// The community on a database: implements all service traits of this crate, each in the file of its subject.
#[derive(Clone)]
pub struct SqlCommunity {
    db: Db,
    settings: Settings,
    host: Host,
    /// Wakes the link preview worker after a post with links was stored.
    wake_previews: Arc<Notify>,
}

impl SqlCommunity {
    /// The services on a database whose migrations have run.
    pub fn new(db: Db, settings: Settings, host: Host) -> Self {
        Self { db, settings, host, wake_previews: Arc::default() }
    }

    /// The same services with other base URLs for the router and the links in emails, and another file store.
    #[must_use]
    pub fn mounted_at(&self, mount: PublicUrl, home: PublicUrl, files: Files) -> Self {
        let host = Host { files, mount, home, ..self.host.clone() };
        Self { host, ..self.clone() }
    }

    /// The file store.
    pub(crate) fn files(&self) -> &Files {
        &self.host.files
    }

    /// The viewer. Anonymous access is an error unless the settings allow it.
    fn viewer(&self, caller: Option<Caller>) -> Result<Viewer> {
        match caller {
            Some(caller) => Ok(Viewer::from(&caller)),
            None if self.settings.public_read => Ok(Viewer::Anonymous),
            None => Err(Error::NotAuthenticated),
        }
    }

    /// The viewer, if they may read the content of a group. 404 if it is not visible to them, 403 if only listed.
    async fn find_access(&self, caller: Option<Caller>, id: GroupId) -> Result<Viewer> {
        let viewer = self.viewer(caller)?;
        if let Some(caller) = &caller {
            let access = GroupAccess::load(self.db.conn(), caller, id).await?;
            if access.group.is_private {
                access.require_reader()?;
            }
        } else {
            let found = scope::visible_groups(viewer).filter(group::COLUMN.id.eq(id)).one(self.db.conn()).await?;
            found.ok_or(Error::GroupNotFound(id))?;
        }
        Ok(viewer)
    }

    /// Users by id, in one query.
    async fn people(&self, ids: impl IntoIterator<Item = UserId>) -> Result<HashMap<UserId, Person>> {
        let ids: Vec<UserId> = ids.into_iter().collect::<HashSet<_>>().into_iter().collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let people = self.host.directory.people(&ids).await?;
        Ok(people.into_iter().map(|person| (person.id, person)).collect())
    }
}

/// A group with the caller's role in it.
#[derive(Clone, Debug, FromQueryResult)]
struct GroupAccess {
    #[sea_orm(nested)]
    group: group::Model,
    own_role: Option<Role>,
    #[sea_orm(skip)]
    is_staff: bool,
}

impl GroupAccess {
    /// Loads a group for a change and locks it until the transaction ends, so that concurrent changes of one group are
    /// serialized. 404 if it is not visible to the caller.
    async fn load_for_update(conn: &impl ConnectionTrait, caller: &Caller, id: GroupId) -> Result<Self> {
        lock_group(conn, id).await?;
        Self::load(conn, caller, id).await
    }

    /// Like [`load_for_update`](Self::load_for_update), but without the check that the group is visible.
    async fn load_unchecked(conn: &impl ConnectionTrait, caller: &Caller, id: GroupId) -> Result<Self> {
        lock_group(conn, id).await?;
        Self::select(group::Entity::find_by_id(id), conn, caller, id).await
    }

    /// Loads a group without a lock. 404 if it is not visible to the caller.
    async fn load(conn: &impl ConnectionTrait, caller: &Caller, id: GroupId) -> Result<Self> {
        let groups = scope::visible_groups(caller.into()).filter(group::COLUMN.id.eq(id));
        Self::select(groups, conn, caller, id).await
    }

    async fn select(
        groups: Select<group::Entity>,
        conn: &impl ConnectionTrait,
        caller: &Caller,
        id: GroupId,
    ) -> Result<Self> {
        let access = groups.expr_as(own_role(caller.user), "own_role").into_model::<Self>().one(conn).await?;
        let access = access.ok_or(Error::GroupNotFound(id))?;
        Ok(Self { is_staff: caller.roles.is_staff(), ..access })
    }

    /// Requires read access to the group's content. 403 otherwise, since the group itself is visible.
    fn require_reader(self) -> Result<Self> {
        if self.own_role.is_some() || self.is_staff { Ok(self) } else { Err(Error::NotMember) }
    }

    /// Requires membership, even of staff.
    fn require_member(self) -> Result<Self> {
        if self.own_role.is_some() { Ok(self) } else { Err(Error::NotMember) }
    }

    fn is_moderator(&self) -> bool {
        self.is_staff || self.own_role.is_some_and(|role| role != Role::Member)
    }

    fn require_moderator(self) -> Result<Self> {
        match self.is_moderator() {
            true => Ok(self),
            false if self.own_role.is_some() => Err(Error::NotModerator),
            false => Err(Error::NotMember),
        }
    }

    fn is_owner(&self) -> bool {
        self.is_staff || self.own_role == Some(Role::Owner)
    }

    fn require_owner(self) -> Result<Self> {
        if self.is_owner() { Ok(self) } else { Err(Error::NotGroupOwner) }
    }
}

/// Locks a group until the transaction ends. This needs a statement of its own: on PostgreSQL, a statement that waits
/// for a lock sees the new version of the locked row only, not of other rows. Rows can still refer to the group.
async fn lock_group(conn: &impl ConnectionTrait, id: GroupId) -> Result<(), DbErr> {
    // SQLite has a single writer, so there is no need to lock.
    if conn.get_database_backend() == DbBackend::Postgres {
        let row = group::Entity::find_by_id(id).select_only().column(group::Column::Id).lock(LockType::NoKeyUpdate);
        row.into_tuple::<GroupId>().one(conn).await?;
    }
    Ok(())
}

/// A user's role in the group of the row. A correlated subquery, so that for a user in ten thousand groups not all
/// memberships are read for a page of twenty.
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

/// An entry for the moderation log.
struct ModerationEntry<'a> {
    group: Option<GroupId>,
    actor: UserId,
    /// The action: a word in the past tense.
    action: &'static str,
    /// The user it was done to, or the author of the target.
    subject: Option<UserId>,
    /// The target, such as `post 5`.
    target: String,
    /// The reason, or an excerpt.
    detail: &'a str,
}

impl SqlCommunity {
    /// Writes an entry to the moderation log, in the transaction of the action.
    async fn log_moderation(&self, conn: &impl ConnectionTrait, entry: ModerationEntry<'_>) -> Result<(), DbErr> {
        let row = moderation_log::ActiveModel {
            id: NotSet,
            group_id: Set(entry.group),
            actor_id: Set(Some(entry.actor)),
            action: Set(entry.action.to_owned()),
            subject_id: Set(entry.subject),
            target: Set(entry.target),
            detail: Set(entry.detail.to_owned()),
            at: Set(self.host.clock.now()),
        };
        moderation_log::Entity::insert(row).exec_without_returning(conn).await.map(|_| ())
    }
}
