//! The community beside a foreign user table.

use std::{ops::Deref, sync::Arc};

use guildhall_community::{
    GroupFilter, GroupId, Groups, Host, NewGroup, NewPost, Settings, SqlCommunity, UserTable, migrations,
};
use guildhall_files::{Files, FolderStore, UploadLimits};
use guildhall_kernel::{
    self as kernel, Caller, Outbox, PublicUrl, Roles, UserId,
    http::PageFetcher,
    testing::{PEOPLE, TestClock, TestDb, fake_directory, migrations_with_people},
};
use sea_orm_migration::MigrationTrait;

/// The maximum size of an uploaded file, in bytes.
const UPLOAD_BYTES: usize = 1 << 20;

/// Migrations with a user table of the host: ids 1 to 60.
fn all_migrations() -> Vec<Box<dyn MigrationTrait>> {
    let mut all = migrations_with_people(60);
    all.extend(guildhall_files::migrations());
    all.extend(migrations(&PEOPLE));
    all
}

pub(crate) struct Harness {
    pub(crate) db: TestDb,
    pub(crate) community: SqlCommunity,
    pub(crate) files: Files,
    /// The folder of the file store.
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: TestClock,
}

impl Deref for Harness {
    type Target = SqlCommunity;

    fn deref(&self) -> &SqlCommunity {
        &self.community
    }
}

pub(crate) async fn community() -> Harness {
    with_connections(1).await
}

pub(crate) async fn with_connections(connections: u32) -> Harness {
    community_with(connections, Settings::default(), None).await
}

pub(crate) async fn public() -> Harness {
    community_with(1, Settings { public_read: true, ..Settings::default() }, None).await
}

pub(crate) async fn community_with(
    connections: u32,
    settings: Settings,
    page_fetcher: Option<Arc<dyn PageFetcher>>,
) -> Harness {
    let db = TestDb::with_connections(all_migrations, connections).await;
    let test_clock = TestClock::default();
    let clock = test_clock.clock();
    let url = |path: &str| -> PublicUrl { format!("https://example.org{path}").parse().unwrap() };
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(FolderStore::new(folder.path()));
    let files =
        Files::open(db.handle(), store, clock.clone(), url("/api"), UploadLimits::up_to(UPLOAD_BYTES)).await.unwrap();
    let host = Host {
        clock: clock.clone(),
        directory: Arc::new(fake_directory(1..=60)),
        users: UserTable { name: "people", search_key: "name" },
        outbox: Outbox::new(db.handle(), clock),
        files: files.clone(),
        page_fetcher,
        name: "Guild".to_owned(),
        mount: url("/api/community"),
        home: url(""),
    };
    let community = SqlCommunity::new(db.handle(), settings, host);
    Harness { db, community, files, folder, clock: test_clock }
}

impl Harness {
    /// Adds a member, bypassing all checks.
    pub(crate) async fn add_member(&self, group: GroupId, user: i64) {
        let sql = format!(
            "INSERT INTO community_membership (group_id, user_id, role, joined_at) VALUES ({group}, {user}, 'member', 0); \
             UPDATE community_group SET member_count = member_count + 1 WHERE id = {group};"
        );
        self.db.sql(&sql).await.unwrap();
    }

    /// Adds a moderator, bypassing all checks.
    pub(crate) async fn add_moderator_to(&self, group: GroupId, user: i64) {
        self.add_member(group, user).await;
        let condition = format!("group_id = {group} AND user_id = {user}");
        self.db.sql(&format!("UPDATE community_membership SET role = 'moderator' WHERE {condition}")).await.unwrap();
    }

    /// The number of files in the store.
    pub(crate) fn stored_files(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(folder).unwrap();
            entries
                .map(|entry| {
                    let path = entry.unwrap().path();
                    if path.is_dir() { count(&path) } else { 1 }
                })
                .sum()
        }
        count(self.folder.path())
    }

    /// Asserts that all counters are correct.
    pub(crate) async fn assert_counters(&self) {
        let findings = self.examine(false).await.unwrap();
        assert!(findings.iter().all(|finding| !finding.is_error()), "{findings:?}");
    }

    pub(crate) async fn group_of(&self, owner: i64, new: NewGroup) -> GroupId {
        self.groups.create_group(&person(owner), new).await.unwrap().id
    }
}

pub(crate) fn person(id: i64) -> Caller {
    Caller::new(UserId(id), Roles::default())
}

pub(crate) fn staff(id: i64) -> Caller {
    Caller::new(UserId(id), Roles { staff: true, ..Roles::default() })
}

pub(crate) fn teacher(id: i64) -> Caller {
    Caller::new(UserId(id), Roles { teacher: true, ..Roles::default() })
}

pub(crate) fn named(name: &str) -> NewGroup {
    NewGroup { name: name.to_owned(), category: "general".to_owned(), ..NewGroup::default() }
}

pub(crate) fn private(name: &str) -> NewGroup {
    NewGroup { is_private: true, ..named(name) }
}

pub(crate) fn listed(name: &str) -> NewGroup {
    NewGroup { is_listed: true, ..private(name) }
}

pub(crate) fn all() -> GroupFilter {
    GroupFilter::default()
}

pub(crate) fn post(content: &str) -> NewPost {
    NewPost { content: content.to_owned(), ..NewPost::default() }
}

pub(crate) fn post_in(group: GroupId, content: &str) -> NewPost {
    NewPost { group: Some(group), ..post(content) }
}

pub(crate) fn code<T>(outcome: Result<T, guildhall_community::Error>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        Err(error) => kernel::Error::from(error).code().to_owned(),
    }
}
