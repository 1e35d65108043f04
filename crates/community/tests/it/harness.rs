use std::{ops::Deref, sync::Arc};

use guildhall_community::{GroupFilter, NewGroup, Settings, SqlCommunity, migrations};
use guildhall_kernel::{
    self as kernel, Caller, Clock, HostTables, Roles, UserId,
    db::SqlMigration,
    testing::{TestDb, fake_directory},
};
use sea_orm::{ConnectionTrait, DbErr, Statement};
use sea_orm_migration::MigrationTrait;

/// The people of the host: ids 1 to 9, in a table that the crate has never heard of.
fn with_people() -> Vec<Box<dyn MigrationTrait>> {
    let up = "CREATE TABLE people (id {id});
        INSERT INTO people (id) VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9);";
    let mut all: Vec<Box<dyn MigrationTrait>> =
        vec![Box::new(SqlMigration::new("m20240101_000000_people", up, "DROP TABLE people;"))];
    all.extend(migrations(&HostTables { users: "people" }));
    all
}

pub(crate) struct Harness {
    pub(crate) db: TestDb,
    pub(crate) community: SqlCommunity,
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
    with(connections, Settings::default()).await
}

pub(crate) async fn with(connections: u32, settings: Settings) -> Harness {
    let db = TestDb::with_connections(with_people, connections).await;
    let directory = Arc::new(fake_directory(1..=9));
    let mount = "https://example.org/api/community".parse().unwrap();
    let community = SqlCommunity::new(db.handle(), directory, Clock::system(), mount, settings);
    Harness { db, community }
}

impl Harness {
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        let query = Statement::from_string(self.db.backend(), format!("SELECT COUNT(*) FROM {table}"));
        self.db.conn().query_one_raw(query).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    pub(crate) async fn sql(&self, sql: &str) -> Result<(), DbErr> {
        self.db.write(|tx| async move { tx.conn().execute_unprepared(sql).await.map(|_| ()) }).await
    }
}

pub(crate) fn person(id: i64) -> Caller {
    Caller::new(UserId(id), Roles::default())
}

pub(crate) fn staff(id: i64) -> Caller {
    Caller::new(UserId(id), Roles { staff: true, ..Roles::default() })
}

pub(crate) fn named(name: &str) -> NewGroup {
    NewGroup {
        name: name.to_owned(),
        description: String::new(),
        category: "general".to_owned(),
        is_private: false,
        is_corporate_group: false,
    }
}

pub(crate) fn private(name: &str) -> NewGroup {
    NewGroup { is_private: true, ..named(name) }
}

pub(crate) fn all() -> GroupFilter {
    GroupFilter::default()
}

pub(crate) fn code<T>(outcome: Result<T, guildhall_community::Error>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        Err(error) => kernel::Error::from(error).code().to_owned(),
    }
}
