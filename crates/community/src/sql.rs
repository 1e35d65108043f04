//! The services of all areas on one database.

use guildhall_files::Files;
use guildhall_kernel::{Db, PublicUrl, doctor::Finding};
use sea_orm::EntityTrait;

use crate::{
    core::{Core, Host},
    courses::SqlCourses,
    entity::group,
    error::Result,
    events::SqlEvents,
    feed::SqlFeed,
    groups::SqlGroups,
    moderation::SqlModeration,
    posts::SqlPosts,
    settings::Settings,
};

/// The SQL services, one for each area.
#[derive(Clone)]
pub struct SqlCommunity {
    /// Groups and their members.
    pub groups: SqlGroups,
    /// Posts, and what belongs to them.
    pub posts: SqlPosts,
    /// Feeds, bookmarks, follows and the search.
    pub feed: SqlFeed,
    /// Bans, reports and the review queue.
    pub moderation: SqlModeration,
    /// Courses and their learners.
    pub courses: SqlCourses,
    /// Events of groups.
    pub events: SqlEvents,
}

impl SqlCommunity {
    /// The services on a database whose migrations have run.
    pub fn new(db: Db, settings: Settings, host: Host) -> Self {
        Self::with_core(Core::new(db, settings, host))
    }

    /// The same services with other base URLs for the router and the links in emails, and another file store.
    #[must_use]
    pub fn mounted_at(&self, mount: PublicUrl, home: PublicUrl, files: Files) -> Self {
        let host = Host { files, mount, home, ..self.core().host.clone() };
        Self::with_core(Core { host, ..self.core().clone() })
    }

    fn with_core(core: Core) -> Self {
        let groups = SqlGroups { core: core.clone() };
        let posts = SqlPosts { core: core.clone() };
        Self {
            feed: SqlFeed { core: core.clone(), groups: groups.clone(), posts: posts.clone() },
            moderation: SqlModeration { core: core.clone(), posts: posts.clone() },
            courses: SqlCourses { core: core.clone() },
            events: SqlEvents { core },
            groups,
            posts,
        }
    }

    fn core(&self) -> &Core {
        &self.groups.core
    }

    /// The file store.
    pub(crate) fn files(&self) -> &Files {
        &self.core().host.files
    }

    /// Whether there is any group, private ones included.
    pub async fn has_groups(&self) -> Result<bool> {
        Ok(group::Entity::find().one(self.core().db.conn()).await?.is_some())
    }

    /// Checks every counter; with `fix`, repairs those that are wrong.
    pub async fn examine(&self, fix: bool) -> Result<Vec<Finding>> {
        self.core().examine_counters(fix).await
    }

    /// Creates and deletes a group in a transaction that is rolled back, to check that both work.
    ///
    /// # Errors
    /// Any error that creating or deleting the group would cause.
    pub async fn dry_run(&self) -> Result<()> {
        self.groups.dry_run().await
    }

    /// Waits until a post with links was stored.
    pub async fn wait_for_previews(&self) {
        self.core().wake_previews.notified().await;
    }

    /// Fetches the pages whose previews are due. Returns the number of attempts. Safe to run on several nodes.
    pub async fn fetch_previews(&self) -> Result<u64> {
        self.posts.fetch_previews().await
    }
}
