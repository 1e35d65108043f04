use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::MigrationTrait;

use super::TestDb;
use crate::{
    HostTables, admin,
    db::{self, Migrations, Sql, SqlMigration},
};

/// The user table of a host without accounts, as [`migrations_with_people`] creates it.
pub const PEOPLE: HostTables = HostTables { users: "people" };

const TABLES: Sql = Sql::per_backend(
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' ORDER BY name",
    "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename",
);

/// The migrations of a host with the user table [`PEOPLE`], which has the rows 1 to `people`, and of the kernel.
pub fn migrations_with_people(people: u32) -> Vec<Box<dyn MigrationTrait>> {
    let rows: Vec<String> = (1..=people).map(|id| format!("({id}, 'person-{id}')")).collect();
    let rows = rows.join(", ");
    let insert = if people > 0 { format!("INSERT INTO people (id, name) VALUES {rows};") } else { String::new() };
    let up = format!("CREATE TABLE people (id {{id}}, name text); {insert}");
    let table = SqlMigration::new("m20240101_000000_people", &up, "DROP TABLE people;");
    let mut all: Vec<Box<dyn MigrationTrait>> = vec![Box::new(table)];
    all.extend(crate::migrations(&PEOPLE));
    all
}

/// Asserts that the models describe every table that begins with `prefix`, once and with existing columns.
///
/// # Panics
/// If they do not.
pub async fn assert_tables_described(prefix: &str, migrations: Migrations, models: Vec<admin::Model>) {
    let db = TestDb::new(migrations).await;
    let tables = db::scalars::<String>(db.conn(), TABLES, []).await.unwrap();
    let tables: Vec<String> = tables.into_iter().filter(|table| table.starts_with(prefix)).collect();
    let described: Vec<String> = models.iter().map(|model| model.table.clone()).collect();
    assert_eq!(described.len(), described.iter().collect::<BTreeSet<_>>().len(), "a table is described twice");
    assert_eq!(described.into_iter().collect::<BTreeSet<_>>(), tables.into_iter().collect());
    for model in models {
        let unknown = model.unknown_columns();
        assert!(!model.list.is_empty() && unknown.is_empty(), "{}: {unknown:?}", model.table);
    }
}

/// Asserts that on SQLite, an update of any column of a table except these changes the version of the table, so that
/// kept counts of lists that are filtered by that column are computed again. Generated columns have no trigger.
///
/// # Panics
/// If not.
pub async fn assert_versioned(table: &str, except: &[&str], migrations: Migrations) {
    let db = TestDb::new(migrations).await;
    if db.backend() != DbBackend::Sqlite {
        return;
    }
    let columns = db::scalars::<String>(db.conn(), "SELECT name FROM pragma_table_info($1)", [table.into()]);
    let mut columns: BTreeSet<String> = columns.await.unwrap().into_iter().collect();
    let trigger = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = $1 || '_version_update'";
    let trigger: String = db::scalar(db.conn(), trigger, [table.into()]).await.unwrap().unwrap();
    let (_, versioned) = trigger.split_once("UPDATE OF").unwrap();
    let (versioned, _) = versioned.split_once(" ON ").unwrap();
    columns.retain(|column| column != "id" && !except.contains(&column.as_str()));
    assert_eq!(columns, versioned.split(',').map(|column| column.trim().to_owned()).collect());
}

impl TestDb {
    /// The number of rows in a table.
    pub async fn count_rows(&self, table: &str) -> i64 {
        self.query_i64(&format!("SELECT COUNT(*) FROM {table}")).await
    }

    /// The first column of the first row of a query.
    pub async fn query_i64(&self, sql: &str) -> i64 {
        let statement = sea_orm::Statement::from_string(self.backend(), sql);
        self.conn().query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    /// The first column of a query.
    pub async fn query_texts(&self, sql: &str) -> Vec<String> {
        let statement = sea_orm::Statement::from_string(self.backend(), sql);
        let rows = self.conn().query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    /// Runs SQL in a transaction.
    ///
    /// # Errors
    /// If the database refuses it.
    pub async fn sql(&self, sql: &str) -> Result<(), sea_orm::DbErr> {
        self.write(|tx| async move { tx.execute_unprepared(sql).await.map(|_| ()) }).await
    }
}
